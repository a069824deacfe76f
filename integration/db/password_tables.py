"""The tables of passwords on their way and of those that were used. No password is in them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class PasswordAttempt(Table):
    """What the edge said of one password on its way to Kratos; gone once it is the password."""

    __tablename__ = "password_attempts"
    __table_args__ = (Index(None, "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    flow_id: Mapped[UUID]
    identity_id: Mapped[UUID | None]
    reasons: Mapped[list[Any]]
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    client_address: Mapped[str] = mapped_column(server_default="")
    user_agent: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PasswordHistoryRow(Table):
    """A member's last passwords as keyed argon2id digests, the current one first."""

    __tablename__ = "password_histories"

    identity_id: Mapped[UUID] = mapped_column(
        ForeignKey("members.identity_id", ondelete="CASCADE"), primary_key=True
    )
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    digests: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
