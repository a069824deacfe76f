"""Queries on who has which role."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from integration.db.other_admins import COUNT
from integration.db.tables import Member
from policies.authority import Role
from policies.lifecycle import Status


def count_other_admins(session: Session, but: UUID) -> int:
    """Return how many active admins there are besides one, as `other_admins` counts them."""
    session.flush()
    return int(session.connection().exec_driver_sql(COUNT, {"whose": but}).scalar_one())


def count_by_role(session: Session) -> dict[str, int]:
    """Return how many members that are not deleted have which role."""
    statement = (
        select(Member.role, func.count())
        .where(Member.status != Status.DELETED)
        .group_by(Member.role)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def of_role(
    session: Session, role: Role, *, after: UUID | None = None, limit: int = 50
) -> list[Member]:
    """Return members that are not deleted and have this role, by identity id."""
    statement = select(Member).where(Member.role == role, Member.status != Status.DELETED)
    if after is not None:
        statement = statement.where(Member.identity_id > after)
    return list(session.scalars(statement.order_by(Member.identity_id).limit(limit)))
