"""The table of what admins changed through Ory's admin paths."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


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
