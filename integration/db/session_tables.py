"""The table of members' sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class MemberSession(Table):
    """What we know of one Kratos session beside Kratos: whence, how lively, held, ended.

    The row begins when the edge sees a login succeed, or at the session's first use.

    Attributes:
        methods: How the member proved who it is: Kratos' names, in order (`password`, `totp`).
        aal: `aal1` or `aal2`, Kratos' word.
        country: ISO 3166 code of the address, or empty: unknown.
        hold: Why a second factor is asked for before this session is good for anything; None: it
            is not.
        end_reason: `logout`, `revoked`, `expired`, `password_changed`, `reuse`, ... once it ended.
    """

    __tablename__ = "member_sessions"
    __table_args__ = (
        Index("ix_member_sessions_identity_id_started_at", "identity_id", "started_at"),
        Index("ix_member_sessions_ended_at", "ended_at"),
        Index("ix_member_sessions_expires_at", "expires_at"),
        Index(
            "ix_member_sessions_hold_since",
            "hold_since",
            postgresql_where=text("hold is not null"),
        ),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    identity_id: Mapped[UUID]
    started_at: Mapped[datetime]
    authenticated_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    methods: Mapped[list[str]] = mapped_column(ARRAY(Text))
    aal: Mapped[str]
    device_id: Mapped[UUID | None]
    address: Mapped[str] = mapped_column(server_default="")
    user_agent: Mapped[str] = mapped_column(server_default="")
    country: Mapped[str] = mapped_column(server_default="")
    last_activity_at: Mapped[datetime]
    activity_count: Mapped[int] = mapped_column(server_default="0")
    hold: Mapped[str | None]
    hold_since: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(server_default="")
