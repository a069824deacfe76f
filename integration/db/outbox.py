"""Effects that are to be brought about: written with the change that asks for them.

A row alone decides when it is tried again and when it is given up. Of one member's effects in
one lane, only the oldest undone one may run.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from integration.db import sessions
from integration.db.retention import delete_oldest
from integration.db.tables import OutboxEffect

# An effect starts when its transaction rings; this is how long the relay leaves it to that.
HEAD_START = timedelta(seconds=3)
# How long the relay leaves an effect to the worker it was handed to.
LEASE = timedelta(seconds=30)

_ERROR_LENGTH = 500


def add(
    session: Session,
    *,
    lane: str,
    kind: str,
    identity_id: UUID | None,
    payload: dict[str, Any],
    now: datetime,
    effect_id: UUID | None = None,
    delay: timedelta | None = None,
) -> UUID:
    """Ask for one effect, as part of the caller's transaction.

    Args:
        effect_id: Its id, where somebody else must know it; else a new one.
        delay: Nobody rings for it: the relay starts it after this long.
    """
    effect_id = effect_id or uuid4()
    session.add(
        OutboxEffect(
            id=effect_id,
            identity_id=identity_id,
            lane=lane,
            kind=kind,
            payload=payload,
            created_at=now,
            due_at=now + (HEAD_START if delay is None else delay),
        )
    )
    # One INSERT each, in order: `seq` is what orders a lane.
    session.flush()
    if delay is None:
        sessions.remember_effect(session, effect_id)
    return effect_id


def lease_due(
    session: Session, *, now: datetime, held_lanes: Sequence[str], limit: int = 200
) -> list[UUID]:
    """Return effects that are due and may run, and leave them alone for `LEASE`.

    Args:
        held_lanes: Lanes that wait for a consumer and are not tried.
    """
    due = (
        select(OutboxEffect)
        .where(
            OutboxEffect.done_at.is_(None),
            OutboxEffect.parked_at.is_(None),
            OutboxEffect.due_at <= now,
            OutboxEffect.lane.not_in(held_lanes),
            ~_earlier_exists(),
        )
        .order_by(OutboxEffect.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=OutboxEffect)
    )
    rows = list(session.scalars(due))
    for row in rows:
        row.due_at = now + LEASE
    return [row.id for row in rows]


def lock(session: Session, effect_id: UUID, *, held_lanes: Sequence[str]) -> OutboxEffect | None:
    """Lock one effect that may run now.

    Returns:
        None when it is done, parked, held, being delivered by somebody else, or waits for an
        earlier one of its lane.
    """
    return session.scalar(
        select(OutboxEffect)
        .where(
            OutboxEffect.id == effect_id,
            OutboxEffect.done_at.is_(None),
            OutboxEffect.parked_at.is_(None),
            OutboxEffect.lane.not_in(held_lanes),
            ~_earlier_exists(),
        )
        .with_for_update(skip_locked=True, of=OutboxEffect)
    )


def next_in_lane(session: Session, row: OutboxEffect) -> UUID | None:
    """Return the effect that waited for `row`."""
    if row.identity_id is None:
        return None
    return session.scalar(
        select(OutboxEffect.id)
        .where(
            OutboxEffect.identity_id == row.identity_id,
            OutboxEffect.lane == row.lane,
            OutboxEffect.seq > row.seq,
            OutboxEffect.done_at.is_(None),
            OutboxEffect.parked_at.is_(None),
        )
        .order_by(OutboxEffect.seq)
        .limit(1)
    )


def finish(row: OutboxEffect, *, now: datetime, forget_payload: bool) -> None:
    """Mark an effect done. A mail's payload holds codes and is forgotten."""
    row.done_at = now
    row.last_error = ""
    if forget_payload:
        row.payload = {}


def postpone(
    session: Session, effect_id: UUID, *, error: str, due_at: datetime, parked_at: datetime | None
) -> None:
    """Record a failed attempt."""
    session.execute(
        update(OutboxEffect)
        .where(OutboxEffect.id == effect_id, OutboxEffect.done_at.is_(None))
        .values(
            attempts=OutboxEffect.attempts + 1,
            last_error=error[:_ERROR_LENGTH],
            due_at=due_at,
            parked_at=parked_at,
        )
    )


def attempts(session: Session, effect_id: UUID) -> int:
    """Return how often an effect was tried in vain."""
    return session.scalar(select(OutboxEffect.attempts).where(OutboxEffect.id == effect_id)) or 0


def is_pending(session: Session, identity_id: UUID, lanes: Sequence[str]) -> bool:
    """Tell whether effects of these lanes are on their way. Parked ones are not."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    OutboxEffect.identity_id == identity_id,
                    OutboxEffect.lane.in_(lanes),
                    OutboxEffect.done_at.is_(None),
                    OutboxEffect.parked_at.is_(None),
                )
            )
        )
    )


def undone_of(session: Session, identity_id: UUID, kind: str) -> OutboxEffect | None:
    """Return the newest effect of this kind that was not brought about yet, parked or not."""
    return session.scalar(
        select(OutboxEffect)
        .where(
            OutboxEffect.identity_id == identity_id,
            OutboxEffect.kind == kind,
            OutboxEffect.done_at.is_(None),
        )
        .order_by(OutboxEffect.seq.desc())
        .limit(1)
    )


def undone(session: Session, *, parked_only: bool = False, limit: int = 100) -> list[OutboxEffect]:
    """Return undone effects, oldest first."""
    statement = select(OutboxEffect).where(OutboxEffect.done_at.is_(None))
    if parked_only:
        statement = statement.where(OutboxEffect.parked_at.is_not(None))
    return list(session.scalars(statement.order_by(OutboxEffect.seq).limit(limit)))


def retry(session: Session, effect_id: UUID, *, now: datetime) -> bool:
    """Try a parked or waiting effect again, now; False when there is none undone."""
    found = session.scalar(
        update(OutboxEffect)
        .where(OutboxEffect.id == effect_id, OutboxEffect.done_at.is_(None))
        .values(parked_at=None, due_at=now, attempts=0)
        .returning(OutboxEffect.id)
    )
    if found is not None:
        sessions.remember_effect(session, effect_id)
    return found is not None


def forget_done_before(session: Session, before: datetime) -> int:
    """Delete the effects that were brought about the longest before a moment; return how many."""
    return delete_oldest(session, OutboxEffect.done_at, before)


def counts(session: Session) -> dict[str, dict[str, int]]:
    """Return `{lane: {waiting, failing, parked}}` of what is undone."""
    failing = and_(OutboxEffect.attempts > 0, OutboxEffect.parked_at.is_(None))
    rows = session.execute(
        select(
            OutboxEffect.lane,
            func.count().filter(OutboxEffect.parked_at.is_(None)),
            func.count().filter(failing),
            func.count().filter(OutboxEffect.parked_at.is_not(None)),
        )
        .where(OutboxEffect.done_at.is_(None))
        .group_by(OutboxEffect.lane)
    )
    return {
        lane: {"waiting": waiting, "failing": failed, "parked": parked}
        for lane, waiting, failed, parked in rows
    }


def _earlier_exists() -> ColumnElement[bool]:
    """Is there an older undone effect in the same lane? Parked ones step aside."""
    earlier = aliased(OutboxEffect)
    return exists().where(
        earlier.identity_id == OutboxEffect.identity_id,
        earlier.lane == OutboxEffect.lane,
        earlier.seq < OutboxEffect.seq,
        earlier.done_at.is_(None),
        earlier.parked_at.is_(None),
    )
