"""The cookie of a browser that has logged in before: which accounts it is known to.

Signed, not encrypted: a random device number, when it last logged in, and 8 bytes an account.
What it says of one account proves nothing for another.
"""

import base64
import binascii
import hmac
import secrets
import struct
import time
from dataclasses import dataclass
from uuid import UUID

from integration.keys import derive
from integration.limits.counters import ACCOUNT_BYTES
from integration.settings import Settings

COOKIE = "kleis_device"
_MOST_ACCOUNTS = 5
_SIGNATURE_BYTES = 16
_HEAD = struct.Struct(">16sQ")
_LONGEST_VALUE = 256


@dataclass(frozen=True, slots=True)
class Device:
    """One browser.

    Attributes:
        accounts: Whom it has logged in, the latest last; at most five.
    """

    id: bytes
    accounts: tuple[bytes, ...]

    @property
    def uuid(self) -> UUID:
        return UUID(bytes=self.id)


class Devices:
    """Issues and reads the cookie."""

    def __init__(self, secret: str, *, lifetime_seconds: int, is_secure: bool) -> None:
        self._key = derive(secret, "known device")
        self._lifetime = lifetime_seconds
        self._secure = "; Secure" if is_secure else ""

    @classmethod
    def of(cls, settings: Settings) -> "Devices":
        return cls(
            settings.secret.get_secret_value(),
            lifetime_seconds=int(settings.device_lifetime.total_seconds()),
            is_secure=settings.public_url.scheme == "https",
        )

    def read(self, cookies: str | None, now: float | None = None) -> Device | None:
        """Return whom a `Cookie` header proves to be known; None: nobody, or not any more."""
        for pair in (cookies or "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and len(value) <= _LONGEST_VALUE:
                return self._opened(value, time.time() if now is None else now)
        return None

    def cookie(self, device: Device | None, account: bytes, now: float | None = None) -> str:
        """Return the `Set-Cookie` of a browser that has just logged in to `account`.

        Args:
            device: What it brought; None: it is new.
        """
        known = device or Device(secrets.token_bytes(16), ())
        accounts = (*(each for each in known.accounts if each != account), account)
        moment = int(time.time() if now is None else now)
        said = _HEAD.pack(known.id, moment) + b"".join(accounts[-_MOST_ACCOUNTS:])
        value = base64.urlsafe_b64encode(said + self._sign(said)).rstrip(b"=").decode()
        return (
            f"{COOKIE}={value}; Path=/; Max-Age={self._lifetime}; HttpOnly; SameSite=Lax"
            f"{self._secure}"
        )

    def _opened(self, value: str, now: float) -> Device | None:
        try:
            given = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except (binascii.Error, ValueError):
            return None
        said, signature = given[:-_SIGNATURE_BYTES], given[-_SIGNATURE_BYTES:]
        accounts = said[_HEAD.size :]
        if len(said) < _HEAD.size or len(accounts) % ACCOUNT_BYTES:
            return None
        if not hmac.compare_digest(signature, self._sign(said)):
            return None
        device_id, moment = _HEAD.unpack_from(said)
        if now > moment + self._lifetime:
            return None
        places = range(0, len(accounts), ACCOUNT_BYTES)
        return Device(device_id, tuple(accounts[at : at + ACCOUNT_BYTES] for at in places))

    def _sign(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_SIGNATURE_BYTES]
