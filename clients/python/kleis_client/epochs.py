"""Which decisions have gone stale, as the issuer tells it."""

import time
from collections.abc import Callable
from typing import Any

from kleis_client.decision_cache import DecisionCache
from kleis_client.errors import IssuerError
from kleis_client.issuer import Issuer
from kleis_client.long_poll import MARGIN, LongPoll

PATH = "/api/permissions/epochs"
LATE = 2.0
"""Seconds on top of a quiet poll until the feed counts as silent."""
_LONGEST_CURSOR = 8192


class EpochFeed:
    """Keeps a cache free of stale decisions.

    Args:
        wait: Seconds that one poll is held by the issuer. When a connection dies unnoticed, a
            decision may be stale for this long and `LATE`.
    """

    def __init__(
        self,
        issuer: Issuer,
        cache: DecisionCache,
        *,
        wait: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._cache, self._wait = issuer, cache, wait
        self._poll = LongPoll(self._ask, name="epochs", wait=wait, timer=timer)
        self._cursor: str | None = None

    @property
    def is_heard(self) -> bool:
        """Whether the cache may be used now. Starts the feed."""
        self._poll.start()
        return not self._poll.failing and self._poll.silence() <= self._wait + LATE

    def close(self) -> None:
        """Stop listening."""
        self._poll.close()

    async def _ask(self) -> bool:
        params = {"since": self._cursor, "wait": f"{self._wait:g}"} if self._cursor else None
        answer = await self._issuer.ask("GET", PATH, deadline=self._wait + MARGIN, params=params)
        if answer.status != 200:
            # A cursor that is not understood any more would be refused for ever.
            self._cursor = None
            raise IssuerError(f"The issuer refused the feed of epochs (status {answer.status}).")
        news = answer.json()
        cursor, subjects = news.get("cursor"), news.get("subjects")
        if not isinstance(subjects, list) or not _is_cursor(cursor):
            self._cursor = None
            raise IssuerError("The issuer's answer is not news of epochs.")
        everything = self._cursor is None or news.get("reset") is not False
        if everything or news.get("edges") is not False:
            self._cache.forget_all()
        for subject in subjects:
            self._cache.forget(str(subject))
        self._cursor = cursor
        return everything or bool(subjects) or news.get("edges") is not False


def _is_cursor(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_CURSOR
