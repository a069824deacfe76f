"""The table of appeals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table
from policies.appeals import AppealState

_STATES = ", ".join(f"'{state}'" for state in AppealState)


class Appeal(Table):
    """A suspended member's wish to be let back in, and what became of it.

    `state` is one of `policies.appeals.AppealState`. Of a member at most one is open.
    """

    __tablename__ = "appeals"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="state"),
        Index(None, "identity_id", "made_at"),
        Index(None, "made_at", "id"),
        Index(
            "uq_appeals_open", "identity_id", unique=True, postgresql_where=text("state = 'open'")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    identity_id: Mapped[UUID] = mapped_column(ForeignKey("members.identity_id", ondelete="CASCADE"))
    suspended_at: Mapped[datetime]
    statement: Mapped[str]
    state: Mapped[str]
    made_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decision_reason: Mapped[str] = mapped_column(server_default="")
