"""Sessions that have ended although their access tokens have not expired yet."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future

from kleis_client.errors import IssuerError, RevocationsUnknownError, TokenRevokedError
from kleis_client.issuer import Answer, Issuer
from kleis_client.long_poll import LONGEST_WAIT, MARGIN, LongPoll

PATH = "/api/tokens/revocations"

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')


class RevocationFeed:
    """Listens for ended sessions. Starts with its first use; `close` ends it.

    Whoever cannot hear who was thrown out must not let anybody in: after `max_silence` every token
    is refused with `RevocationsUnknownError`, until the issuer is heard again.

    Args:
        issuer: The public address of Kleis, as in the tokens' `iss`.
        max_silence: Seconds without an answer until tokens are refused.
        allow_stale: Go by the last list however old it is, even by none at all. An ended session
            then lives on until its token expires, at most 15 minutes. For what anybody may see.
        wait: Seconds that one poll is held by the issuer.
        address: Where to send requests instead of to `issuer`.

    Raises:
        ValueError: If `max_silence` is shorter than a quiet poll may take.
    """

    def __init__(
        self,
        issuer: str,
        *,
        max_silence: float = 60.0,
        allow_stale: bool = False,
        wait: float = LONGEST_WAIT,
        address: str | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_silence < wait + MARGIN:
            raise ValueError(f"max_silence is at least wait + {MARGIN:.0f} seconds")
        self._issuer = Issuer(issuer, address=address)
        self._max_silence, self._allow_stale, self._wait = max_silence, allow_stale, wait
        self._poll = LongPoll(self._ask, name="revocations", wait=wait, timer=timer)
        self._revoked: frozenset[str] = frozenset()
        self._etag: str | None = None

    def pending(self) -> Future[None] | None:
        """Start if need be; return what to wait for while nothing was ever heard."""
        return self._poll.pending()

    def check(self, session_id: str) -> None:
        """Return if the session has not ended.

        Raises:
            TokenRevokedError: If it has.
            RevocationsUnknownError: If that has been unknown for too long.
        """
        if session_id in self._revoked:
            raise TokenRevokedError
        if self._poll.silence() > self._max_silence and not self._allow_stale:
            raise RevocationsUnknownError

    def close(self) -> None:
        """Stop listening."""
        self._poll.close()
        self._issuer.close()

    async def _ask(self) -> bool:
        known = self._etag is not None
        answer = await self._issuer.ask(
            "GET",
            PATH,
            deadline=self._wait + MARGIN,
            params={"wait": f"{self._wait:g}"} if known else None,
            headers={"if-none-match": self._etag} if self._etag else None,
        )
        if answer.status == 304 and known:
            return False
        revoked = _sessions_in(answer)
        etag = answer.headers.get("etag")
        self._etag = etag if etag and _ETAG.fullmatch(etag) else None
        # The whole list each time. The issuer leaves out whom no living token names any more;
        # `until` is for readers who keep lists of their own.
        changed = revoked != self._revoked
        self._revoked = revoked
        return changed


def _sessions_in(answer: Answer) -> frozenset[str]:
    listed = answer.json().get("revoked") if answer.status == 200 else None
    if not isinstance(listed, list):
        raise IssuerError("The issuer's answer is not a list of revocations.")
    try:
        sessions = frozenset(entry["sid"] for entry in listed)
    except (TypeError, KeyError):
        raise IssuerError("The issuer's answer is not a list of revocations.") from None
    if not all(isinstance(session, str) for session in sessions):
        raise IssuerError("The issuer's answer is not a list of revocations.")
    return sessions
