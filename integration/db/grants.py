"""Queries on grants. Who changes one holds the member's row, so that changes follow each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from integration.db.grant_tables import PermissionGrant

_G = PermissionGrant
_UNENDED = and_(_G.revoked_at.is_(None), _G.expired_at.is_(None))


def live_at(now: datetime) -> ColumnElement[bool]:
    """Grants that count at this moment."""
    return and_(_UNENDED, or_(_G.expires_at.is_(None), _G.expires_at > now))


def _overdue_at(now: datetime) -> ColumnElement[bool]:
    return and_(_UNENDED, _G.expires_at <= now)


@dataclass(frozen=True, slots=True)
class Told:
    """What Keto should know of a subject's grants.

    Attributes:
        live: Permissions that count now.
        ever: Permissions of all grants the subject ever had: what is ours to take from Keto.
        ended: Grants that have ended for good and that Keto may still hold. One whose time is over
            and not recorded is not among them: it could still be renewed.
    """

    live: frozenset[str]
    ever: frozenset[str]
    ended: frozenset[UUID]


NOTHING_TOLD = Told(frozenset(), frozenset(), frozenset())


def told(session: Session, subject_id: UUID, *, now: datetime) -> Told:
    rows = session.execute(
        select(
            _G.id,
            _G.permission,
            live_at(now).label("live"),
            and_(~_UNENDED, _G.removed_at.is_(None)).label("to_remove"),
        ).where(_G.subject_id == subject_id)
    ).all()
    return Told(
        live=frozenset(row.permission for row in rows if row.live),
        ever=frozenset(row.permission for row in rows),
        ended=frozenset(row.id for row in rows if row.to_remove),
    )


def everybody_told(session: Session, *, now: datetime) -> dict[str, Told]:
    """Return the same for every subject that ever had a grant."""
    rows = session.execute(
        select(_G.subject_id, _G.permission, live_at(now).label("live")).order_by(_G.subject_id)
    ).all()
    ever: dict[UUID, set[str]] = {}
    live: dict[UUID, set[str]] = {}
    for row in rows:
        ever.setdefault(row.subject_id, set()).add(row.permission)
        if row.live:
            live.setdefault(row.subject_id, set()).add(row.permission)
    return {
        str(subject_id): Told(frozenset(live.get(subject_id, ())), frozenset(names), frozenset())
        for subject_id, names in ever.items()
    }


def mark_removed(session: Session, grant_ids: Iterable[UUID], *, now: datetime) -> None:
    """Note that Keto holds nothing on account of these grants any more."""
    session.execute(
        update(_G).where(_G.id.in_(list(grant_ids)), _G.removed_at.is_(None)).values(removed_at=now)
    )


def is_unremoved(session: Session, subject_id: UUID, *, now: datetime) -> bool:
    """Tell whether Keto may hold a grant that has ended."""
    statement = select(_G.id).where(
        _G.subject_id == subject_id, _G.removed_at.is_(None), ~live_at(now)
    )
    return session.scalar(statement.limit(1)) is not None


def live(session: Session, subject_id: UUID, *, now: datetime) -> Sequence[PermissionGrant]:
    """Return the grants of a member that count now, by name."""
    statement = select(_G).where(_G.subject_id == subject_id, live_at(now))
    return session.scalars(statement.order_by(_G.permission)).all()


def overdue(session: Session, subject_id: UUID, *, now: datetime) -> Sequence[PermissionGrant]:
    """Return the grants of a member whose time is over and not recorded; the caller marks them."""
    return session.scalars(
        select(_G).where(_G.subject_id == subject_id, _overdue_at(now)).order_by(_G.expires_at)
    ).all()


def subjects_overdue(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Return members who have a grant whose time is over and not recorded."""
    statement = select(_G.subject_id).where(_overdue_at(now)).distinct().limit(limit)
    return list(session.scalars(statement))


def unended(session: Session, subject_id: UUID) -> Sequence[PermissionGrant]:
    """Return the grants of a member that nobody ended yet."""
    return session.scalars(select(_G).where(_G.subject_id == subject_id, _UNENDED)).all()


def count_live(session: Session, names: Iterable[str], *, now: datetime) -> int:
    """Return how many grants of these permissions count, whoever has them."""
    statement = select(func.count()).where(_G.permission.in_(list(names)), live_at(now))
    return session.scalar(statement) or 0


def get(session: Session, grant_id: UUID) -> PermissionGrant | None:
    return session.get(_G, grant_id, populate_existing=True)


def by_key(session: Session, granted_by: str, idempotency_key: str) -> PermissionGrant | None:
    """Return the grant that a request of this key has made."""
    return session.scalar(
        select(_G).where(_G.granted_by == granted_by, _G.idempotency_key == idempotency_key)
    )


def page(
    session: Session,
    *,
    now: datetime,
    subject_id: UUID | None = None,
    permission: str | None = None,
    only_live: bool = False,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[PermissionGrant]:
    """Return grants, the latest first.

    Args:
        after: `(created_at, id)` of the last one seen.
    """
    statement = select(_G).order_by(_G.created_at.desc(), _G.id.desc()).limit(limit)
    if subject_id is not None:
        statement = statement.where(_G.subject_id == subject_id)
    if permission is not None:
        statement = statement.where(_G.permission == permission)
    if only_live:
        statement = statement.where(live_at(now))
    if after is not None:
        statement = statement.where(tuple_(_G.created_at, _G.id) < after)
    return session.scalars(statement).all()
