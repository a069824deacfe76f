"""Asks the issuer who may do what, and remembers the answers for as long as they are true.

Whatever goes wrong, the answer is no: an error, an answer after more than a second, one that cannot
be read. Remembered answers count only while the issuer is heard telling which of them have gone
stale, and in no case for longer than `max_age`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import TypeVar

from kleis_client.background import BACKGROUND
from kleis_client.checks import NO_ANSWER, Check, Decision, decision_of, decisions_of, problem_code
from kleis_client.decision_cache import DecisionCache
from kleis_client.epochs import EpochFeed
from kleis_client.errors import IssuerError
from kleis_client.issuer import Answer, Issuer

PATH = "/api/permissions/check"
BATCH_PATH = "/api/permissions/batch-check"
LARGEST_BATCH = 1000
STRANGER = "subject_unknown"
"""The code of the problem that there is no such member: a sure no."""

_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")


class PermissionClient:
    """Decisions of one Kleis. One for the whole process; for threads and event loops.

    Args:
        issuer: The public address of Kleis.
        api_key: With the scope `permissions:read`.
        timeout, batch_timeout: Seconds for one question, and for a thousand, from start to end.
        cache_size: How many decisions are remembered; each takes about 500 bytes. 0: none.
        max_age: Seconds for which one is remembered at most, and never beyond the end of the grant
            that allowed it. This bounds what the issuer cannot tell: tuples that somebody wrote
            into Keto past it.
        wait: Seconds that the issuer holds each poll for stale decisions, at most 25; see
            `EpochFeed`.
        address: Where to send requests instead of to `issuer`.
    """

    def __init__(
        self,
        issuer: str,
        api_key: str,
        *,
        timeout: float = 1.0,
        batch_timeout: float = 5.0,
        cache_size: int = 10_000,
        max_age: float = 30.0,
        wait: float = 5.0,
        address: str | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = Issuer(issuer, address=address, api_key=api_key)
        self._timeout, self._batch_timeout, self._timer = timeout, batch_timeout, timer
        self._cache = DecisionCache(cache_size, max_age, timer)
        self._feed = EpochFeed(self._issuer, self._cache, wait=wait, timer=timer)

    def check(
        self,
        subject: str,
        name: str,
        on: str | None = None,
        *,
        fresh: bool = False,
        at_least: str | None = None,
    ) -> Decision:
        """Return whether `subject` has a permission, or may do something `on` an object.

        Args:
            subject: The member's UUID.
            name: A permission such as `content.publish`; with `on` an action such as `edit`.
            on: Such as `Content:42`.
            fresh: Ask for an answer that knows of everything that was acknowledged before.
            at_least: The epoch of an earlier answer: no older one will do.
        """
        check = Check(subject, name, on)
        remembered = None if fresh or at_least else self._remembered(check)
        if remembered is not None:
            return remembered
        return _wait(self._submit(check, fresh, at_least), self._timeout, NO_ANSWER)

    async def check_async(
        self,
        subject: str,
        name: str,
        on: str | None = None,
        *,
        fresh: bool = False,
        at_least: str | None = None,
    ) -> Decision:
        """Do what `check` does without holding up the event loop."""
        check = Check(subject, name, on)
        remembered = None if fresh or at_least else self._remembered(check)
        if remembered is not None:
            return remembered
        return await _wait_async(self._submit(check, fresh, at_least), self._timeout, NO_ANSWER)

    def check_all(self, checks: Sequence[Check]) -> list[Decision]:
        """Return the decisions of many questions, in their order, with few requests."""
        known, parts = self._prepare(checks)
        for part in parts:
            asked = BACKGROUND.submit(self._ask_batch(part))
            found: dict[Check, Decision] = _wait(asked, self._batch_timeout, {})
            known |= found
        return [known.get(check, NO_ANSWER) for check in checks]

    async def check_all_async(self, checks: Sequence[Check]) -> list[Decision]:
        """Do what `check_all` does without holding up the event loop."""
        known, parts = self._prepare(checks)
        for part in parts:
            asked = BACKGROUND.submit(self._ask_batch(part))
            found: dict[Check, Decision] = await _wait_async(asked, self._batch_timeout, {})
            known |= found
        return [known.get(check, NO_ANSWER) for check in checks]

    def close(self) -> None:
        """End the feed and the connections to the issuer."""
        self._feed.close()
        self._issuer.close()

    def _remembered(self, check: Check) -> Decision | None:
        return self._cache.get(check) if self._feed.is_heard else None

    def _prepare(
        self, checks: Sequence[Check]
    ) -> tuple[dict[Check, Decision], Iterator[list[Check]]]:
        """Return what is remembered, and what is to be asked, each question once."""
        known = {check: found for check in checks if (found := self._remembered(check)) is not None}
        unknown = [check for check in dict.fromkeys(checks) if check not in known]
        starts = range(0, len(unknown), LARGEST_BATCH)
        return known, (unknown[start : start + LARGEST_BATCH] for start in starts)

    def _submit(self, check: Check, fresh: bool, at_least: str | None) -> Future[Decision]:
        body = check.body()
        if fresh:
            body["fresh"] = True
        if at_least:
            body["at_least"] = at_least
        return BACKGROUND.submit(self._ask(check, body))

    async def _ask(self, check: Check, body: object) -> Decision:
        asked_at = self._timer()
        try:
            answer = await self._issuer.ask("POST", PATH, deadline=self._timeout, json=body)
            if answer.status != 200:
                return _refused(answer)
            decision = decision_of(answer.json())
        except IssuerError as error:
            _log.debug("no decision", extra={"error": str(error)})
            return NO_ANSWER
        self._cache.put(check, decision, asked_at)
        return decision

    async def _ask_batch(self, checks: Sequence[Check]) -> dict[Check, Decision]:
        asked_at = self._timer()
        body = {"checks": [check.body() for check in checks]}
        try:
            answer = await self._issuer.ask(
                "POST", BATCH_PATH, deadline=self._batch_timeout, json=body
            )
            if answer.status != 200:
                return dict.fromkeys(checks, _refused(answer))
            decisions = decisions_of(answer.json(), checks)
        except IssuerError as error:
            _log.debug("no decisions", extra={"error": str(error)})
            return {}
        for check, decision in decisions.items():
            self._cache.put(check, decision, asked_at)
        return decisions


def _refused(answer: Answer) -> Decision:
    """Return the denial that an answer with another status than 200 is."""
    try:
        code = problem_code(answer.json())
    except IssuerError:
        return NO_ANSWER
    if answer.status >= 500 or answer.status == 429:
        return NO_ANSWER
    if answer.status == 404 and code == STRANGER:
        return Decision(allowed=False, reason=code)
    # A key without the scope, or a question that is none: nothing that time will heal.
    _log.error("the issuer refused a question", extra={"status": answer.status, "code": code})
    return NO_ANSWER


def _wait(asked: Future[_Found], seconds: float, otherwise: _Found) -> _Found:
    try:
        return asked.result(seconds)
    except (TimeoutError, CancelledError):
        asked.cancel()
        return otherwise


async def _wait_async(asked: Future[_Found], seconds: float, otherwise: _Found) -> _Found:
    try:
        return await asyncio.wait_for(asyncio.wrap_future(asked), seconds)
    except TimeoutError:
        return otherwise
