"""What befell an account and its member should be able to look up."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from integration.db.token_tables import SecurityEvent


def add(
    session: Session, identity_id: UUID, kind: str, facts: dict[str, Any], *, now: datetime
) -> None:
    """Append one event.

    Args:
        facts: Never a token, never a trait.
    """
    session.add(SecurityEvent(identity_id=identity_id, at=now, kind=kind, facts=facts))
    session.flush()
