"""Queries on requests for a permission for a while."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from integration.db.grant_tables import Elevation
from policies.elevations import ElevationState

_OPEN = Elevation.state == ElevationState.REQUESTED


def get(session: Session, elevation_id: UUID) -> Elevation | None:
    return session.get(Elevation, elevation_id)


def lock(session: Session, elevation_id: UUID) -> Elevation | None:
    """Return a request whose row is held; the caller holds the member's row already."""
    return session.scalar(
        select(Elevation)
        .where(Elevation.id == elevation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def open_one(session: Session, subject_id: UUID, permission: str) -> Elevation | None:
    """Return the request of a member for this permission that nobody decided."""
    return session.scalar(
        select(Elevation).where(
            Elevation.subject_id == subject_id, Elevation.permission == permission, _OPEN
        )
    )


def asked(session: Session, subject_id: UUID, *, limit: int) -> list[datetime]:
    """Return when a member asked, whatever for and however it ended, the newest first."""
    return list(
        session.scalars(
            select(Elevation.requested_at)
            .where(Elevation.subject_id == subject_id)
            .order_by(Elevation.requested_at.desc())
            .limit(limit)
        )
    )


def lapsed(session: Session, *, now: datetime, limit: int = 200) -> list[Elevation]:
    """Return requests that nobody decided in time, held; those held by others are left out."""
    return list(
        session.scalars(
            select(Elevation)
            .where(_OPEN, Elevation.lapses_at <= now)
            .order_by(Elevation.lapses_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def page(
    session: Session,
    *,
    subject_id: UUID | None = None,
    state: ElevationState | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[Elevation]:
    """Return requests, the latest first.

    Args:
        after: `(requested_at, id)` of the last one seen.
    """
    statement = (
        select(Elevation).order_by(Elevation.requested_at.desc(), Elevation.id.desc()).limit(limit)
    )
    if subject_id is not None:
        statement = statement.where(Elevation.subject_id == subject_id)
    if state is not None:
        statement = statement.where(Elevation.state == state)
    if after is not None:
        statement = statement.where(tuple_(Elevation.requested_at, Elevation.id) < after)
    return session.scalars(statement).all()
