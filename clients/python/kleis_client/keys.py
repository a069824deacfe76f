"""The issuer's public keys: fetched when first needed, renewed by max-age, kept in an outage."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import jwt

from kleis_client.background import BACKGROUND
from kleis_client.errors import IssuerError, KeysUnavailableError, TokenInvalidError
from kleis_client.issuer import Answer, Issuer

PATH = "/.well-known/jwks.json"
FETCH = 3.0
"""Seconds for one fetch."""
SHORTEST, USUAL, LONGEST = 10.0, 300.0, 3600.0
"""Seconds between which a max-age is believed, and what counts where there is none."""
MOST_KEYS = 32

_ALGORITHM_OF = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256"}
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)
_KEY_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key, with the only algorithm it may be used for."""

    jwk: Mapping[str, Any]
    algorithm: str
    key: jwt.PyJWK

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        return bool(self.key.Algorithm.verify(signing_input, self.key.key, signature))


class IssuerKeys:
    """A copy of the issuer's key set.

    Args:
        refetch_after: Seconds between two fetches, whatever key ids strangers make up and
            however long the issuer is down.
        max_stale: Seconds for which old keys still count when they cannot be renewed.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        refetch_after: float = 10.0,
        max_stale: float = 3600.0,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._refetch_after, self._max_stale, self._timer = refetch_after, max_stale, timer
        self._keys: dict[str, VerificationKey] = {}
        self._fresh_until = self._usable_until = self._not_before = float("-inf")
        self._fetching: tuple[int, Future[None]] | None = None
        self._lock = threading.Lock()

    def pending(self, key_id: str) -> Future[None] | None:
        """Start a fetch if one is due; return it if `key_id` cannot be judged before its end."""
        now = self._timer()
        known = key_id in self._keys and now < self._usable_until
        if known and now < self._fresh_until:
            return None
        with self._lock:
            fetching = self._under_way() or self._start(now)
        return None if known else fetching

    def find(self, key_id: str) -> VerificationKey:
        """Return a key.

        Raises:
            KeysUnavailableError: If there are no keys, or only too old ones.
            TokenInvalidError: If the issuer has no such key.
        """
        if self._timer() >= self._usable_until:
            raise KeysUnavailableError
        found = self._keys.get(key_id)
        if found is None:
            raise TokenInvalidError("unknown_key")
        return found

    def _under_way(self) -> Future[None] | None:
        fetching = self._fetching
        if fetching is None or fetching[0] != BACKGROUND.generation or fetching[1].done():
            return None
        return fetching[1]

    def _start(self, now: float) -> Future[None] | None:
        # A forked child has lost the fetch that its parent began.
        is_lost = self._fetching is not None and self._fetching[0] != BACKGROUND.generation
        if now < self._not_before and not is_lost:
            return None
        self._not_before = now + self._refetch_after
        future = BACKGROUND.submit(self._renew())
        self._fetching = (BACKGROUND.generation, future)
        return future

    async def _renew(self) -> None:
        """Fetch the keys. A failure leaves the old ones, for a while."""
        try:
            answer = await self._issuer.ask("GET", PATH, deadline=FETCH)
            keys = _keys_in(answer, self._keys)
        except IssuerError:
            return
        now = self._timer()
        self._keys = keys
        self._fresh_until = now + _max_age(answer)
        self._usable_until = self._fresh_until + self._max_stale


def _keys_in(answer: Answer, before: Mapping[str, VerificationKey]) -> dict[str, VerificationKey]:
    """Return the keys that an answer holds; an unchanged one is the same object as before.

    Keys for other uses and of kinds that are not known here are left out.

    Raises:
        IssuerError: If there is none, or one id names two.
    """
    listed = answer.json().get("keys")
    if answer.status != 200 or not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise IssuerError("The issuer's answer is not a set of keys.")
    keys: dict[str, VerificationKey] = {}
    for jwk in listed:
        found = _key(jwk)
        if found is None:
            continue
        key_id = jwk["kid"]
        if key_id in keys:
            raise IssuerError("Two of the issuer's keys have one id.")
        known = before.get(key_id)
        keys[key_id] = known if known is not None and known.jwk == jwk else found
    if not keys:
        raise IssuerError("The issuer has no key to verify with.")
    return keys


def _key(jwk: object) -> VerificationKey | None:
    if not isinstance(jwk, dict):
        return None
    kind, curve, key_id = jwk.get("kty"), jwk.get("crv"), jwk.get("kid")
    if not isinstance(kind, str) or not isinstance(curve, str) or not isinstance(key_id, str):
        return None
    algorithm = _ALGORITHM_OF.get((kind, curve))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or "d" in jwk:
        return None
    if jwk.get("use", "sig") != "sig" or not _KEY_ID.fullmatch(key_id):
        return None
    try:
        return VerificationKey(jwk, algorithm, jwt.PyJWK(jwk, algorithm))
    except jwt.PyJWTError:
        return None


def _max_age(answer: Answer) -> float:
    found = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    return min(max(float(found[1]), SHORTEST), LONGEST) if found else USUAL
