"""The link in the mail about a blocked account: proof that whoever opens it gets its mail."""

import base64
import binascii
import hmac
import struct
import time
from uuid import UUID

from integration.keys import derive

PATH = "unlock"
LIFETIME_SECONDS = 86_400
PASS_SECONDS = 1800
"""How long whoever got back in may log in past the blocks of account and address."""
_SAID = struct.Struct(">16sQ")
_SIGNATURE_BYTES = 24


def issue(secret: str, identity_id: UUID, now: float | None = None) -> str:
    """Return a ticket for one account, good for a day."""
    said = _SAID.pack(identity_id.bytes, int(time.time() if now is None else now))
    return base64.urlsafe_b64encode(said + _sign(secret, said)).decode()


def read(secret: str, ticket: str, now: float | None = None) -> UUID | None:
    """Return the account of a ticket as a client sent it; None: none of ours, or too old."""
    try:
        given = base64.urlsafe_b64decode(ticket.encode())
    except (binascii.Error, ValueError):
        return None
    said, signature = given[: _SAID.size], given[_SAID.size :]
    if len(said) != _SAID.size or not hmac.compare_digest(signature, _sign(secret, said)):
        return None
    identity, moment = _SAID.unpack(said)
    if (time.time() if now is None else now) > moment + LIFETIME_SECONDS:
        return None
    return UUID(bytes=identity)


def _sign(secret: str, said: bytes) -> bytes:
    return hmac.digest(derive(secret, "unlock ticket"), said, "sha256")[:_SIGNATURE_BYTES]
