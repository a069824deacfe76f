"""Security events: written with what they tell of, read by the member they are about."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from integration.db.retention import delete_oldest
from integration.db.security_tables import SecurityEvent
from policies.security_events import Kind


def record(
    session: Session,
    identity_id: UUID,
    kind: str,
    facts: Mapping[str, bool | int | str],
    now: datetime,
) -> None:
    """Append one event, in the caller's transaction.

    Args:
        kind: One of `policies.security_events.Kind`.
        facts: About it; no secret, nobody else's data.
        now: An aware moment.
    """
    session.add(
        SecurityEvent(
            id=uuid4(), identity_id=identity_id, at=now, kind=str(kind), facts=dict(facts)
        )
    )


def latest(
    session: Session, identity_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[SecurityEvent]:
    """Return a member's events, newest first.

    Args:
        before: Moment and id of the event after which the page begins; None: the newest.
    """
    statement = select(SecurityEvent).where(SecurityEvent.identity_id == identity_id)
    if before is not None:
        statement = statement.where(tuple_(SecurityEvent.at, SecurityEvent.id) < before)
    order = (SecurityEvent.at.desc(), SecurityEvent.id.desc())
    return list(session.scalars(statement.order_by(*order).limit(limit)))


def has_since(session: Session, identity_id: UUID, kind: str, since: datetime) -> bool:
    """Tell whether something of this kind happened to a member since a moment."""
    statement = select(SecurityEvent.id).where(
        SecurityEvent.identity_id == identity_id,
        SecurityEvent.kind == str(kind),
        SecurityEvent.at >= since,
    )
    return session.scalar(statement.limit(1)) is not None


def last_about_factor(
    session: Session, identity_id: UUID, method: str
) -> tuple[Kind, datetime] | None:
    """Return the newest event about one second factor of a member."""
    kinds = (Kind.SECOND_FACTOR_ADDED, Kind.SECOND_FACTOR_REMOVED)
    row = session.scalar(
        select(SecurityEvent)
        .where(
            SecurityEvent.identity_id == identity_id,
            SecurityEvent.kind.in_(kinds),
            SecurityEvent.facts["method"].astext == method,
        )
        .order_by(SecurityEvent.at.desc(), SecurityEvent.id.desc())
        .limit(1)
    )
    return None if row is None else (Kind(row.kind), row.at)


def forget(session: Session, identity_id: UUID) -> None:
    """Delete everything about one member."""
    session.execute(delete(SecurityEvent).where(SecurityEvent.identity_id == identity_id))


def forget_before(session: Session, before: datetime) -> int:
    """Delete the oldest events that nobody asks for any more; return how many."""
    return delete_oldest(session, SecurityEvent.at, before)
