"""What follows when an OpenID provider was linked to an account or unlinked, recorded with it."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import epochs, inbox, members, security_events
from policies.decisions import SendMail
from policies.security_events import TOLD_AGAIN, Kind


def record(
    session: Session,
    identity_id: UUID,
    *,
    is_linked: bool,
    provider: str,
    occasion: str,
    now: datetime,
) -> None:
    """Record a change once, however often it is told.

    Args:
        provider: Its id, or "" where it is not known.
        occasion: Names this link; of two unlinks nothing tells one from the other but time.
    """
    if members.lock(session, identity_id) is None:
        return
    kind = Kind.CONNECTION_ADDED if is_linked else Kind.CONNECTION_REMOVED
    if is_linked:
        is_new = inbox.claim(session, f"connection:{occasion}")
    else:
        is_new = not security_events.has_since(session, identity_id, kind, now - TOLD_AGAIN)
    if not is_new:
        return
    security_events.record(session, identity_id, kind, {"provider": provider}, now)
    facts = (
        ("provider", provider or "another account"),
        ("when", f"{now.astimezone(UTC):%d %B %Y, %H:%M} UTC"),
    )
    effects.record(session, identity_id, (SendMail(str(kind), facts),), now=now)
    epochs.move(session, identity_id)
