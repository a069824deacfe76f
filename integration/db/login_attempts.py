"""The record of login attempts. The edge appends to it by itself (`integration/edge`)."""

from datetime import datetime

from sqlalchemy.orm import Session

from integration.db.audit_tables import LoginAttempt
from integration.db.retention import delete_oldest


def forget_before(session: Session, before: datetime) -> int:
    """Delete the oldest attempts from before the given moment; return how many."""
    return delete_oldest(session, LoginAttempt.at, before)
