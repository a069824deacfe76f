"""What a member that may not log in can do instead: a ticket for one purpose, good for a while.

Given only to who just proved the right password: it stands for a login that could not be.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from integration.keys import derive

LIFETIME = timedelta(minutes=15)


def issue(secret: str, purpose: str, identity_id: UUID, *, now: datetime) -> str:
    """Return a ticket.

    Args:
        secret: `KLEIS_SECRET`.
        purpose: Such as `appeal`; no other accepts it.
    """
    ends = int((now + LIFETIME).timestamp())
    return f"{identity_id}.{ends}.{_signature(secret, purpose, identity_id, ends)}"


def read(secret: str, purpose: str, ticket: str, *, now: datetime) -> UUID | None:
    """Return whose ticket this is; None when it is none for this purpose, or too old."""
    parts = ticket.split(".")
    if len(parts) != 3 or not ticket.isascii() or len(parts[1]) > 12 or not parts[1].isdigit():
        return None
    try:
        identity_id = UUID(parts[0])
    except ValueError:
        return None
    expected = _signature(secret, purpose, identity_id, int(parts[1]))
    if not hmac.compare_digest(parts[2], expected):
        return None
    is_good = now < datetime.fromtimestamp(int(parts[1]), UTC)
    return identity_id if is_good else None


def _signature(secret: str, purpose: str, identity_id: UUID, ends: int) -> str:
    key = derive(secret, f"member ticket {purpose}")
    return hmac.new(key, identity_id.bytes + str(ends).encode(), hashlib.sha256).hexdigest()
