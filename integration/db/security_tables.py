"""The table of what happened to the safety of accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class SecurityEvent(Table):
    """One thing that a member should know of, shown to that member alone.

    `kind` is one of `policies.security_events.Kind`; `facts` are about it and hold no secret. No
    foreign key: it is written where no member's row is at hand.
    """

    __tablename__ = "security_events"
    __table_args__ = (Index(None, "identity_id", "at", "id"), Index(None, "at"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    identity_id: Mapped[UUID]
    at: Mapped[datetime]
    kind: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
