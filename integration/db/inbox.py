"""Which events were handled already."""

from datetime import datetime

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.retention import delete_oldest
from integration.db.tables import HandledEvent


def claim(session: Session, event: str) -> bool:
    """Claim one event, and tell whether this caller is the first to.

    A second claim waits for the transaction that holds the first, then answers False if that
    one committed and True if it rolled back.

    Args:
        event: Names what happened, not the delivery that told us: `welcome:<identity id>`.
    """
    statement = (
        insert(HandledEvent)
        .values(event=event)
        .on_conflict_do_nothing()
        .returning(HandledEvent.event)
    )
    return session.scalar(statement) is not None


def release(session: Session, event: str) -> None:
    """Let an event be claimed again: nothing came of it."""
    session.execute(delete(HandledEvent).where(HandledEvent.event == event))


def forget_before(session: Session, sort: str, before: datetime) -> int:
    """Forget the oldest events handled before a moment; they may count again. Return how many.

    Args:
        sort: What their names begin with, before the first `:`.
    """
    is_of_sort = func.split_part(HandledEvent.event, ":", 1) == sort
    return delete_oldest(session, HandledEvent.handled_at, before, is_of_sort)
