"""Queries on members' sessions. Each end of a session moves the member's epoch."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db import epochs
from integration.db.session_tables import MemberSession


def add(session: Session, new: MemberSession) -> MemberSession:
    """Insert a row unless there is one of this session, and return what is there."""
    values = {
        column.key: getattr(new, column.key)
        for column in MemberSession.__table__.columns
        if getattr(new, column.key) is not None
    }
    session.execute(insert(MemberSession).values(values).on_conflict_do_nothing())
    return session.get_one(MemberSession, new.session_id)


def get(session: Session, session_id: UUID) -> MemberSession | None:
    return session.get(MemberSession, session_id)


def of_member(session: Session, identity_id: UUID, *, now: datetime) -> Sequence[MemberSession]:
    """Return the sessions that have not ended, the latest first."""
    return session.scalars(
        select(MemberSession)
        .where(
            MemberSession.identity_id == identity_id,
            MemberSession.ended_at.is_(None),
            MemberSession.expires_at > now,
        )
        .order_by(MemberSession.started_at.desc())
    ).all()


def end(session: Session, session_id: UUID, *, reason: str, now: datetime) -> bool:
    """Mark one session as ended; False when it had ended or is unknown.

    Kratos is told by the caller: by an effect, or because it was Kratos that ended it.
    """
    identity_id = session.scalar(
        update(MemberSession)
        .where(MemberSession.session_id == session_id, MemberSession.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason)
        .returning(MemberSession.identity_id)
    )
    if identity_id is None:
        return False
    epochs.move(session, identity_id)
    return True


def end_all(
    session: Session,
    identity_id: UUID,
    *,
    reason: str,
    now: datetime,
    but: UUID | None = None,
    before: datetime | None = None,
) -> Sequence[UUID]:
    """Mark a member's sessions as ended and return which; Kratos is told by the caller.

    Args:
        but: Stays.
        before: Only those authenticated before this.
    """
    statement = update(MemberSession).where(
        MemberSession.identity_id == identity_id, MemberSession.ended_at.is_(None)
    )
    if but is not None:
        statement = statement.where(MemberSession.session_id != but)
    if before is not None:
        statement = statement.where(MemberSession.authenticated_at < before)
    ended = session.scalars(
        statement.values(ended_at=now, end_reason=reason).returning(MemberSession.session_id)
    ).all()
    epochs.move(session, identity_id)
    return ended
