"""Queries on appeals. The caller holds the member's row where it writes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from integration.db.appeal_tables import Appeal
from policies.appeals import AppealState, Past


def get(session: Session, appeal_id: UUID) -> Appeal | None:
    return session.get(Appeal, appeal_id, populate_existing=True)


def past(session: Session, identity_id: UUID, *, suspended_at: datetime) -> Past:
    """Return what a member appealed before against this suspension."""
    row = session.execute(
        select(
            func.bool_or(Appeal.state == AppealState.OPEN),
            func.max(Appeal.decided_at).filter(Appeal.state == AppealState.REJECTED),
        ).where(Appeal.identity_id == identity_id, Appeal.suspended_at == suspended_at)
    ).one()
    return Past(is_open=bool(row[0]), rejected_at=row[1])


def add(
    session: Session, identity_id: UUID, statement: str, *, suspended_at: datetime, now: datetime
) -> Appeal:
    """Insert an open appeal. The member has no other open one."""
    made = Appeal(
        id=uuid4(),
        identity_id=identity_id,
        suspended_at=suspended_at,
        statement=statement,
        state=AppealState.OPEN,
        made_at=now,
        decision_reason="",
    )
    session.add(made)
    session.flush()
    return made


def close(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """End an open appeal of a member who is suspended no more; none is as good."""
    session.execute(
        update(Appeal)
        .where(Appeal.identity_id == identity_id, Appeal.state == AppealState.OPEN)
        .values(state=AppealState.MOOT, decided_at=now, decided_by="system")
    )


def page(
    session: Session,
    *,
    identity_id: UUID | None = None,
    state: AppealState | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[Appeal]:
    """Return appeals, the latest first.

    Args:
        after: `(made_at, id)` of the last one seen.
    """
    statement = select(Appeal).order_by(Appeal.made_at.desc(), Appeal.id.desc()).limit(limit)
    if identity_id is not None:
        statement = statement.where(Appeal.identity_id == identity_id)
    if state is not None:
        statement = statement.where(Appeal.state == state)
    if after is not None:
        statement = statement.where(tuple_(Appeal.made_at, Appeal.id) < after)
    return session.scalars(statement).all()


def forget(session: Session, identity_id: UUID) -> None:
    """Delete everything a member said."""
    session.execute(delete(Appeal).where(Appeal.identity_id == identity_id))
