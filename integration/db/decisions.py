"""Queries on logged decisions. Edges write them (`integration/edge/decisions/decision_log.py`)."""

from datetime import datetime

from sqlalchemy.orm import Session

from integration.db.decision_tables import PermissionDecision
from integration.db.retention import delete_oldest


def forget_before(session: Session, before: datetime) -> int:
    """Delete the oldest decisions from before the given moment; return how many."""
    return delete_oldest(session, PermissionDecision.at, before)
