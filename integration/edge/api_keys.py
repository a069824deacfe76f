"""Who may use Ory's admin and permission paths: holders of an API key of the right scope."""

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from integration.edge.asgi import RawHeaders
from integration.edge.database import Database
from integration.edge.problems import Refusal, RefusedError
from policies.scopes import permits

_TOKEN = re.compile(r"Bearer +(kleis_([0-9a-f]{16})_[A-Za-z0-9_-]{43})\Z", re.IGNORECASE)
# How long a revoked key may still work.
_REMEMBERED_SECONDS = 1.0
_MAX_REMEMBERED = 4096
_STATEMENT = "SELECT sha256, scopes, expires_at, revoked_at FROM api_keys WHERE id = %s"
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="kleis"'),)

KEY_REQUIRED = Refusal(401, "api_key_required", "An API key is needed here.", _CHALLENGE)
KEY_REFUSED = Refusal(
    401, "api_key_refused", "This API key is unknown, expired or revoked.", _CHALLENGE
)
SCOPE_MISSING = Refusal(403, "scope_missing", "This API key has not the scope needed here.")


@dataclass(frozen=True, slots=True)
class Key:
    """One row: `sha256` is of the whole token."""

    sha256: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    def works(self, sha256: bytes, now: datetime) -> bool:
        known = hmac.compare_digest(self.sha256, sha256)
        expired = self.expires_at is not None and self.expires_at <= now
        return known and not expired and self.revoked_at is None


def key_id_of(headers: RawHeaders) -> str:
    """Return the public id in an API key that `ApiKeys.require` has let through."""
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    token = _TOKEN.match(given[0]) if given else None
    return "" if token is None else token[2].lower()


class ApiKeys:
    """Looks keys up, and remembers each for a second by the hash of its token."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()

    async def require(self, headers: RawHeaders, scope: str) -> None:
        """Return when the caller's key permits `scope`.

        Raises:
            RefusedError: no key (401), a wrong one (401), another scope (403), or the
                database does not answer (503).
        """
        given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
        if not given:
            raise RefusedError(KEY_REQUIRED)
        token = _TOKEN.match(given[0]) if len(given) == 1 else None
        if token is None:
            raise RefusedError(KEY_REFUSED)
        sha256 = hashlib.sha256(token[1].encode()).digest()
        key = await self._find(token[2], sha256)
        if key is None or not key.works(sha256, datetime.now(UTC)):
            raise RefusedError(KEY_REFUSED)
        if not permits(key.scopes, scope):
            raise RefusedError(SCOPE_MISSING)

    def permits_at_once(self, headers: RawHeaders, scope: str) -> bool:
        """Tell whether the caller's key is remembered and permits `scope`; False says nothing."""
        given = [value for name, value in headers if name == b"authorization"]
        token = _TOKEN.match(given[0].decode("latin-1")) if len(given) == 1 else None
        if token is None:
            return False
        sha256 = hashlib.sha256(token[1].encode()).digest()
        until, key = self._remembered.get(sha256, (0.0, None))
        if key is None or time.monotonic() >= until:
            return False
        return key.works(sha256, datetime.now(UTC)) and permits(key.scopes, scope)

    async def _find(self, key_id: str, sha256: bytes) -> Key | None:
        now = time.monotonic()
        until, key = self._remembered.get(sha256, (0.0, None))
        if now < until:
            return key
        row = await self._database.row(_STATEMENT, (key_id.lower(),))
        key = Key(bytes(row[0]), frozenset(row[1]), row[2], row[3]) if row else None
        self._remembered.pop(sha256, None)
        self._remembered[sha256] = (now + _REMEMBERED_SECONDS, key)
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return key
