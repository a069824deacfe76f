"""The record of login attempts. The edge appends to it by itself (`integration/edge`)."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from integration.db.audit_tables import LoginAttempt


def forget_before(session: Session, before: datetime, *, limit: int = 20_000) -> int:
    """Delete the oldest attempts from before the given moment; return how many.

    Args:
        limit: Most rows at once, so that a flood is not deleted in one long statement.
    """
    due = select(LoginAttempt.id).where(LoginAttempt.at < before)
    oldest = due.order_by(LoginAttempt.at).limit(limit)
    statement = delete(LoginAttempt).where(LoginAttempt.id.in_(oldest))
    return len(session.execute(statement.returning(LoginAttempt.id)).all())
