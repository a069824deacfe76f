"""What was written to Keto through the edge, which writes the rows without an ORM."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db import epochs
from integration.db.tuple_write_tables import TupleWrite

_AT_ONCE = 100


def end_abandoned(session: Session, *, before: datetime, now: datetime) -> int:
    """End calls that began before a moment and whose edge died; return how many.

    Keto may have written or not: whoever remembers something about a subject asks again.
    """
    statement = (
        select(TupleWrite)
        .where(TupleWrite.ended_at.is_(None), TupleWrite.at < before)
        .order_by(TupleWrite.at)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(statement).all()
    # In one order everywhere, or two transactions wait for each other.
    for subject in sorted({subject for row in rows for subject in row.subjects}):
        epochs.move(session, subject)
    for row in rows:
        row.ended_at = now
    return len(rows)
