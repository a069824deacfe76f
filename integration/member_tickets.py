"""What a member that may not log in can do instead: a ticket for one purpose, good for a while.

Given only to who just proved the right password: it stands for a login that could not be. It is
about the state that the login met, and worth nothing in any other.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from integration.keys import derive

LIFETIME = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket of ours says.

    Attributes:
        since: When the member came into the state that the login met.
        name: Of this one ticket, so that it is used once; no secret once it is used.
    """

    identity_id: UUID
    since: datetime
    name: str


def issue(secret: str, purpose: str, identity_id: UUID, *, since: datetime, now: datetime) -> str:
    """Return a ticket.

    Args:
        secret: `KLEIS_SECRET`.
        purpose: Such as `appeal`; no other accepts it.
        since: When the member came into the state it is in.
    """
    said = f"{identity_id}.{(since - _EPOCH) // _MICROSECOND}.{int((now + LIFETIME).timestamp())}"
    return f"{said}.{_signature(secret, purpose, said)}"


def read(secret: str, purpose: str, ticket: str, *, now: datetime) -> Ticket | None:
    """Return what a ticket says; None when it is none for this purpose, or too old."""
    said, _, signature = ticket.rpartition(".")
    if not ticket.isascii() or not hmac.compare_digest(
        signature, _signature(secret, purpose, said)
    ):
        return None
    # It is ours, so that it reads as ours are written.
    identity_id, since, ends = said.split(".")
    if now >= _EPOCH + timedelta(seconds=int(ends)):
        return None
    return Ticket(UUID(identity_id), _EPOCH + int(since) * _MICROSECOND, signature)


def _signature(secret: str, purpose: str, said: str) -> str:
    key = derive(secret, f"member ticket {purpose}")
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
