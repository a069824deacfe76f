"""The records of what was tried and of what admins changed: append-only."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, INET
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class LoginAttempt(Table):
    """One attempt to log in, good or bad: append-only, written by the edge alone.

    `identifier_hash` is keyed and tells attempts for the same name apart without keeping the
    name; `code` says more about `outcome`. No foreign key: it outlives its member, for as long as
    `KLEIS_LOGIN_ATTEMPTS_LIFETIME`.
    """

    __tablename__ = "login_attempts"
    __table_args__ = (
        Index(None, "at"),
        Index(None, "identity_id", "at"),
        Index(None, "identifier_hash", "at"),
        Index(None, "address", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    identifier_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    identity_id: Mapped[UUID | None]
    address: Mapped[str] = mapped_column(INET)
    user_agent: Mapped[str]
    device_id: Mapped[UUID | None]
    method: Mapped[str]
    outcome: Mapped[str]
    code: Mapped[str | None]
    flow_id: Mapped[UUID | None]


class AdminAudit(Table):
    """One change by an API key on Ory's admin paths: who, what, before and after. Kept.

    `status` is Kratos' answer; None when nobody saw the end. `credentials` names what the body
    set (`password:hashed_password`), never its content.
    """

    __tablename__ = "admin_audit"
    __table_args__ = (
        Index("ix_admin_audit_identity_id_at", "identity_id", "at"),
        Index("ix_admin_audit_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    api_key_id: Mapped[str]
    request_id: Mapped[str]
    method: Mapped[str]
    path_template: Mapped[str]
    identity_id: Mapped[UUID | None]
    credentials: Mapped[list[str]] = mapped_column(ARRAY(Text))
    status: Mapped[int | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
