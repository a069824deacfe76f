"""A member leaves for a while, and comes back. Belongs to the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import security_events
from integration.members import lifecycle
from policies.lifecycle import Actor, Trigger
from policies.security_events import Kind


def deactivate(session: Session, identity_id: UUID, reason: str, *, now: datetime) -> None:
    """Deactivate a member at its own wish; all its sessions end.

    Raises:
        ConflictError: as `last_admin`, nobody else would be admin; or it is not active any more.
    """
    lifecycle.transition(
        session,
        identity_id,
        Trigger.USER_REQUEST,
        actor=Actor.MEMBER,
        reason=reason.strip(),
        now=now,
    )
    security_events.record(session, identity_id, Kind.DEACTIVATED, {}, now)


def reactivate(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """Make a deactivated member active again, at its own wish.

    Raises:
        ConflictError: it is not deactivated.
    """
    lifecycle.transition(
        session, identity_id, Trigger.REACTIVATION_REQUEST, actor=Actor.MEMBER, now=now
    )
    security_events.record(session, identity_id, Kind.REACTIVATED, {}, now)
