"""Queries on members' sessions. Each end of a session moves the member's epoch."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db import epochs
from integration.db.retention import delete_oldest
from integration.db.session_tables import MemberSession
from policies.sessions import LIFESPAN


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


def hold(session: Session, session_id: UUID, reason: str, now: datetime) -> bool:
    """Hold a session until a second factor is given; False when it has ended or is unknown.

    Args:
        reason: For operators and events: `risk`, `admin`, ... Of several the first stays.
    """
    return _set_hold(
        session,
        MemberSession.session_id == session_id,
        reason=func.coalesce(MemberSession.hold, reason),
        since=func.coalesce(MemberSession.hold_since, now),
    )


def release(session: Session, session_id: UUID) -> bool:
    """Let a session be good again; False when it has ended or is unknown."""
    return _set_hold(session, MemberSession.session_id == session_id, reason=None, since=None)


def _set_hold(session: Session, which: Any, *, reason: Any, since: Any) -> bool:
    identity_id = session.scalar(
        update(MemberSession)
        .where(which, MemberSession.ended_at.is_(None))
        .values(hold=reason, hold_since=since)
        .returning(MemberSession.identity_id)
        .execution_options(synchronize_session=False)
    )
    if identity_id is None:
        return False
    epochs.move(session, identity_id)
    return True


def used(session: Session, session_id: UUID, *, now: datetime) -> None:
    """Note one use of a session. Nobody remembers it: no epoch moves."""
    session.execute(
        update(MemberSession)
        .where(MemberSession.session_id == session_id, MemberSession.ended_at.is_(None))
        .values(
            last_activity_at=func.greatest(MemberSession.last_activity_at, now),
            activity_count=MemberSession.activity_count + 1,
        )
    )


def extended(session: Session, session_id: UUID, expires_at: datetime) -> None:
    """Note until when Kratos extended a session."""
    identity_id = session.scalar(
        update(MemberSession)
        .where(MemberSession.session_id == session_id)
        .values(expires_at=expires_at)
        .returning(MemberSession.identity_id)
    )
    if identity_id is not None:
        epochs.move(session, identity_id)


def in_use(
    session: Session, *, lived: timedelta, now: datetime, limit: int = 500
) -> Sequence[MemberSession]:
    """Return living sessions that were used at least `lived` after they were last renewed."""
    renewed_at = MemberSession.expires_at - LIFESPAN
    return session.scalars(
        select(MemberSession)
        .where(
            MemberSession.ended_at.is_(None),
            MemberSession.expires_at > now,
            MemberSession.expires_at < now + LIFESPAN - lived,
            MemberSession.last_activity_at - renewed_at >= lived,
        )
        .order_by(MemberSession.expires_at)
        .limit(limit)
    ).all()


def over(
    session: Session,
    *,
    now: datetime,
    older_than: timedelta,
    idle_for: timedelta | None,
    limit: int = 500,
) -> Sequence[MemberSession]:
    """Return sessions not marked as ended that are over: by their end, by age or for want of use.

    Locked until the transaction ends; those somebody else holds are left out.
    """
    reasons = [MemberSession.expires_at < now, MemberSession.started_at < now - older_than]
    if idle_for is not None:
        reasons.append(MemberSession.last_activity_at < now - idle_for)
    return session.scalars(
        select(MemberSession)
        .where(MemberSession.ended_at.is_(None), or_(*reasons))
        .order_by(MemberSession.identity_id, MemberSession.session_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def forget_ended_before(session: Session, moment: datetime) -> int:
    """Delete the records of sessions that ended the longest before a moment; return how many."""
    return delete_oldest(session, MemberSession.ended_at, moment)
