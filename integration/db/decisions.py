"""Queries on logged decisions. Edges write them (`integration/edge/decisions/decision_log.py`)."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from integration.db.decision_tables import PermissionDecision


def forget_before(session: Session, before: datetime, *, limit: int = 50_000) -> int:
    """Delete the oldest decisions from before the given moment; return how many.

    Args:
        limit: Most rows at once; the next sweep goes on.
    """
    due = select(PermissionDecision.id).where(PermissionDecision.at < before)
    oldest = due.order_by(PermissionDecision.at).limit(limit)
    statement = delete(PermissionDecision).where(PermissionDecision.id.in_(oldest))
    return len(session.execute(statement.returning(PermissionDecision.id)).all())
