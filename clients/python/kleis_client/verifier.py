"""Verifies access tokens without asking the issuer (RFC 9068, RFC 8725).

A token is believed when all of this holds, and each part has a test that it is refused without:
its `typ` is that of an access token; a key of the issuer's published set signed it, with the one
algorithm of that key; issuer and audience are exactly ours; every agreed claim is there, of its
type and size; its time has come and is not over; the member is active; its session has not ended.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import suppress
from hashlib import sha256

from kleis_client import parsing
from kleis_client.errors import (
    TokenError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
)
from kleis_client.issuer import Issuer
from kleis_client.keys import FETCH, IssuerKeys, VerificationKey
from kleis_client.member import Member, member_of
from kleis_client.revocations import RevocationFeed
from kleis_client.verified_tokens import VerifiedToken, VerifiedTokens

LONGEST_LEEWAY = 60.0
_PATIENCE = FETCH + 1.0
"""Seconds to wait for keys, or for the first list of revocations."""


class TokenVerifier:
    """Turns access tokens into members. One for the whole process; for threads and event loops.

    Args:
        issuer: The public address of Kleis, as in the tokens' `iss`.
        audience: The name of this application, as registered with Kleis and as in `aud`.
        revocations: Says which sessions have ended; None for a feed of its own with its defaults.
        check_revocations: False verifies tokens by themselves alone: an ended session then lives
            on until its token expires, at most 15 minutes.
        leeway: Seconds that clocks may differ, at most 60.
        statuses: Members in other states are refused.
        cache_size: How many verified tokens are remembered; each takes about 2 KB, and up to 10 KB
            with a full list of permissions.
        refetch_after, max_stale: See `IssuerKeys`.
        address: Where to send requests instead of to `issuer`.

    Raises:
        ValueError: If an argument is out of its bounds.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        revocations: RevocationFeed | None = None,
        check_revocations: bool = True,
        leeway: float = 30.0,
        statuses: Collection[str] = ("active",),
        cache_size: int = 4096,
        refetch_after: float = 10.0,
        max_stale: float = 3600.0,
        address: str | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= leeway <= LONGEST_LEEWAY:
            raise ValueError(f"leeway is 0 to {LONGEST_LEEWAY:.0f} seconds")
        if not audience:
            raise ValueError("an audience is needed: the name of this application")
        self._issuer = Issuer(issuer, address=address)
        self._audience, self._leeway, self._clock = audience, leeway, clock
        self._statuses = frozenset(statuses)
        self._keys = IssuerKeys(
            self._issuer, refetch_after=refetch_after, max_stale=max_stale, timer=timer
        )
        self._own_feed: RevocationFeed | None = None
        if revocations is None and check_revocations:
            revocations = self._own_feed = RevocationFeed(issuer, address=address, timer=timer)
        self._revocations = revocations if check_revocations else None
        self._verified = VerifiedTokens(cache_size)

    def verify(self, token: str) -> Member:
        """Return the member behind a token. Asks the issuer only for keys it does not have yet.

        Raises:
            TokenError: If the token does not count; see `kleis_client.errors`.
            UndecidedError: If that cannot be told, for the issuer has been away for too long.
        """
        trial = _Trial(token, self._verified)
        for pending in self._pending(trial):
            _wait(pending)
        return self._judge(trial)

    async def verify_async(self, token: str) -> Member:
        """Do what `verify` does without holding up the event loop."""
        trial = _Trial(token, self._verified)
        for pending in self._pending(trial):
            await _wait_async(pending)
        return self._judge(trial)

    def verify_header(self, authorization: str | None) -> Member:
        """Verify the token in an `Authorization` header."""
        return self.verify(bearer_token(authorization))

    async def verify_header_async(self, authorization: str | None) -> Member:
        """Verify the token in an `Authorization` header."""
        return await self.verify_async(bearer_token(authorization))

    def close(self) -> None:
        """End the connections to the issuer, and the feed unless it was given."""
        if self._own_feed is not None:
            self._own_feed.close()
        self._issuer.close()

    def _pending(self, trial: "_Trial") -> Iterator[Future[None]]:
        if (keys := self._keys.pending(trial.key_id)) is not None:
            yield keys
        if self._revocations is not None and (list_ := self._revocations.pending()) is not None:
            yield list_

    def _judge(self, trial: "_Trial") -> Member:
        try:
            key = self._keys.find(trial.key_id)
            known = trial.known
            if known is not None and known.key is key:
                member = known.member
            else:
                known, member = None, self._member_of(trial.signed(), key)
            self._check_time(member)
            if self._revocations is not None:
                self._revocations.check(member.session_id)
        except TokenError:
            self._verified.drop(trial.digest)
            raise
        if known is None:
            self._verified.put(trial.digest, VerifiedToken(trial.key_id, key, member))
        return member

    def _member_of(self, token: parsing.SignedToken, key: VerificationKey) -> Member:
        if token.algorithm != key.algorithm:
            raise TokenInvalidError("algorithm")
        if not key.verifies(token.signing_input, token.signature):
            raise TokenInvalidError("signature")
        claims = parsing.read_object(token.payload)
        if claims.get("iss") != self._issuer.url:
            raise TokenInvalidError("issuer")
        if claims.get("aud") != self._audience:
            raise TokenInvalidError("audience")
        member = member_of(claims)
        if member.status not in self._statuses:
            raise TokenInvalidError("status")
        return member

    def _check_time(self, member: Member) -> None:
        now = self._clock()
        if now >= member.expires_at + self._leeway:
            raise TokenExpiredError
        if now < max(member.not_before, member.issued_at) - self._leeway:
            raise TokenInvalidError("not_yet_valid")


class _Trial:
    """A token on its way through the verifier."""

    __slots__ = ("_signed", "digest", "key_id", "known", "token")

    def __init__(self, token: str, verified: VerifiedTokens) -> None:
        self.token = token
        self._signed: parsing.SignedToken | None = None
        if len(token) > parsing.LONGEST_TOKEN:
            raise TokenInvalidError("too_long")
        self.digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        self.known = verified.get(self.digest)
        self.key_id = self.known.key_id if self.known is not None else self.signed().key_id

    def signed(self) -> parsing.SignedToken:
        if self._signed is None:
            self._signed = parsing.split(self.token)
        return self._signed


def bearer_token(authorization: str | None) -> str:
    """Return the token in an `Authorization` header (RFC 6750, section 2.1).

    Raises:
        TokenMissingError: If there is no header, or one of another scheme.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissingError
    return token


def _wait(pending: Future[None]) -> None:
    # What did not come is found missing by whoever looks for it.
    with suppress(TimeoutError):
        pending.result(_PATIENCE)


async def _wait_async(pending: Future[None]) -> None:
    with suppress(TimeoutError):
        # Shielded: others wait for the same.
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(pending)), _PATIENCE)
