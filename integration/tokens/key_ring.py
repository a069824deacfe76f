"""The keys of one process: read from the table, kept for a few seconds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from integration.db import signing_keys
from integration.db.token_tables import SigningKey
from integration.errors import UpstreamUnavailableError
from integration.settings import Settings
from integration.tokens import key_sealing
from integration.tokens import signing_keys as life
from integration.tokens.access import (
    AccessTokens,
    Claims,
    SigningHalf,
    UnknownKeyError,
    VerificationKey,
    key_from_jwk,
)
from integration.tokens.signer import Signer, issuer

log = structlog.get_logger()

_KEPT_SECONDS = 5.0
# A token may name any key: so often at most that makes us look.
_LOOK_AGAIN_SECONDS = 1.0

Transactions = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class _Half:
    """A key that can sign, and between when."""

    signs: SigningHalf
    active_from: datetime
    retired_at: datetime | None

    def is_active(self, now: datetime) -> bool:
        return self.active_from <= now and (self.retired_at is None or now < self.retired_at)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What was read at one moment."""

    halves: tuple[_Half, ...]
    verifier: AccessTokens
    jwks: dict[str, Any]
    read_at: float


class KeyRing:
    """Signs with the key whose time it is, and verifies with all that are published."""

    def __init__(
        self, settings: Settings, transactions: Transactions, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._transactions = transactions
        self._now = now
        self._keys: _Keys | None = None
        self._reading = threading.Lock()
        self._unopened: set[str] = set()

    def signer(self) -> Signer:
        """Return the key that signs now; the first one is made when there is none.

        Raises:
            UpstreamUnavailableError: none can be made either.
        """
        half = self._active(self._current()) or self._active(self._read_anew())
        if half is None:
            raise UpstreamUnavailableError("There is no key to sign with.")
        return Signer(self._settings, half.signs)

    def verify(self, token: str) -> Claims:
        """Return what an access token says, having looked for its key where it is new.

        Raises:
            InvalidTokenError: it is not good now.
        """
        keys = self._current()
        try:
            return keys.verifier.verify(token, self._now())
        except UnknownKeyError:
            if time.monotonic() - keys.read_at < _LOOK_AGAIN_SECONDS:
                raise
            return self._read_anew().verifier.verify(token, self._now())

    def jwks(self) -> dict[str, Any]:
        """Return what verifiers are shown."""
        return self._current().jwks

    def _active(self, keys: _Keys) -> _Half | None:
        """Return the key that signs now; of several, the one that began last."""
        now = self._now()
        return next((half for half in keys.halves if half.is_active(now)), None)

    def _current(self) -> _Keys:
        keys = self._keys
        if keys is not None and time.monotonic() - keys.read_at < _KEPT_SECONDS:
            return keys
        return self._read_anew()

    def _read_anew(self) -> _Keys:
        asked_at = time.monotonic()
        with self._reading:
            if self._keys is not None and self._keys.read_at >= asked_at:
                return self._keys
            started = time.monotonic()
            with self._transactions() as session:
                rows = self._rows(session)
            self._keys = self._made_of(rows, started)
            return self._keys

    def _rows(self, session: Session) -> list[SigningKey]:
        now, overlap = self._now(), life.overlap(self._settings)
        rows = signing_keys.published(session, now=now, overlap=overlap)
        waiting_or_signing = [row for row in rows if row.retired_at is None]
        halves = list(self._halves(list(rows)))
        is_set = any(row.algorithm == self._settings.token_algorithm for row in waiting_or_signing)
        if is_set and any(half.is_active(now) for half in halves):
            return list(rows)
        life.ensure(session, self._settings, now=now)
        return list(signing_keys.published(session, now=now, overlap=overlap))

    def _made_of(self, rows: list[SigningKey], read_at: float) -> _Keys:
        known: dict[str, VerificationKey] = dict(key_from_jwk(row.public_jwk) for row in rows)
        verifier = AccessTokens(
            known,
            issuer=issuer(self._settings),
            audiences=frozenset(self._settings.applications),
        )
        jwks = {"keys": [row.public_jwk for row in rows]}
        return _Keys(tuple(self._halves(rows)), verifier, jwks, read_at)

    def _halves(self, rows: list[SigningKey]) -> Iterator[_Half]:
        secret = self._settings.secret.get_secret_value()
        for row in rows:
            private = key_sealing.unseal(row.sealed, row.kid, secret=secret)
            if private is None:
                if row.kid not in self._unopened:
                    log.error("signing_key_cannot_be_opened", kid=row.kid)
                    self._unopened.add(row.kid)
                continue
            half = SigningHalf(row.kid, row.algorithm, private)
            yield _Half(half, row.active_from, row.retired_at)
