"""The table of changes of an e-mail address."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table
from policies.email_changes import State

_STATES = ", ".join(f"'{state}'" for state in State)
_OPEN = text("state in ('asked', 'proven', 'reverting')")


class EmailChange(Table):
    """One wish of a member for another address, and what became of it.

    `state` is one of `policies.email_changes.State`. Of a member at most one is open. Addresses are
    in lower case. `verification_flow_id` is the flow of the newest code sent to the new address.
    """

    __tablename__ = "email_changes"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="state"),
        Index(None, "identity_id", "asked_at"),
        Index("uq_email_changes_open", "identity_id", unique=True, postgresql_where=_OPEN),
        Index(
            "ix_email_changes_old_email",
            "old_email",
            postgresql_where=text("state in ('done', 'reverting')"),
        ),
        Index("ix_email_changes_new_email", "new_email", postgresql_where=text("state = 'asked'")),
        Index(
            "ix_email_changes_expires_at", "expires_at", postgresql_where=text("state = 'asked'")
        ),
        Index(
            "ix_email_changes_ended_at", "ended_at", postgresql_where=text("ended_at is not null")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    identity_id: Mapped[UUID] = mapped_column(ForeignKey("members.identity_id", ondelete="CASCADE"))
    old_email: Mapped[str]
    new_email: Mapped[str]
    state: Mapped[str]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    revertible_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    verification_flow_id: Mapped[UUID | None]
