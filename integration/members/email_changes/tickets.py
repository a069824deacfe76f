"""The link in the mail to an old address: proof that whoever opens it reads that mailbox."""

import base64
import binascii
import hmac
from uuid import UUID

from integration.keys import derive

PATH = "email-revert"
_ID_BYTES = 16
_SIGNATURE_BYTES = 24


def issue(secret: str, change_id: UUID) -> str:
    """Return the ticket of one change. How long it is good for, the change itself says."""
    said = change_id.bytes
    return base64.urlsafe_b64encode(said + _sign(secret, said)).decode()


def read(secret: str, ticket: str) -> UUID | None:
    """Return the change of a ticket as a client sent it; None: none of ours."""
    try:
        given = base64.b64decode(ticket.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    said, signature = given[:_ID_BYTES], given[_ID_BYTES:]
    if len(said) != _ID_BYTES or not hmac.compare_digest(signature, _sign(secret, said)):
        return None
    return UUID(bytes=said)


def _sign(secret: str, said: bytes) -> bytes:
    return hmac.digest(derive(secret, "email revert ticket"), said, "sha256")[:_SIGNATURE_BYTES]
