"""The tables. Queries on them live in the module of their subject."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from policies.authority import Role
from policies.lifecycle import Status


def _one_of(column: str, values: type[Status] | type[Role]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} in ({listed})", name=column)


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        frozenset[str]: ARRAY(Text),
        str: Text,
    }


class Member(Table):
    """What we know of a person. Kratos' identity of the same id holds the credentials.

    The row stays when a member is deleted, without its traits, so that nothing that
    happens late can bring the member back.
    """

    __tablename__ = "members"
    __table_args__ = (
        _one_of("status", Status),
        _one_of("role", Role),
        Index("ix_members_email", text("lower(email)")),
        Index("ix_members_username", text("lower(username)")),
        Index("ix_members_status_status_changed_at", "status", "status_changed_at"),
    )

    identity_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    username: Mapped[str | None]
    first_name: Mapped[str] = mapped_column(server_default="")
    last_name: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str]
    role: Mapped[str]
    role_changed_at: Mapped[datetime | None]
    status_changed_at: Mapped[datetime]
    status_reason: Mapped[str] = mapped_column(server_default="")
    registered_at: Mapped[datetime]
    registration_flow_id: Mapped[UUID | None]
    verified_at: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(server_default="0")
    # TOTP or look-up codes are enrolled at Kratos: a password alone is not enough.
    second_factor: Mapped[bool] = mapped_column(server_default=false())
    # The member asks for a second factor itself, mailed codes included.
    requires_second_factor: Mapped[bool] = mapped_column(server_default=false())
    # The address was recovered and no password chosen since: the old one may be a stranger's.
    recovered_at: Mapped[datetime | None]


class Profile(Table):
    """What a member shows of itself, and how it wants to be treated."""

    __tablename__ = "profiles"

    identity_id: Mapped[UUID] = mapped_column(
        ForeignKey("members.identity_id", ondelete="CASCADE"), primary_key=True
    )
    display_name: Mapped[str]
    bio: Mapped[str] = mapped_column(server_default="")
    is_public: Mapped[bool] = mapped_column(server_default=true())
    notifications: Mapped[dict[str, Any]]
    privacy: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class RecommendationProfile(Table):
    """What recommendations for a member start from; the activity consumers fill it."""

    __tablename__ = "recommendation_profiles"

    identity_id: Mapped[UUID] = mapped_column(
        ForeignKey("members.identity_id", ondelete="CASCADE"), primary_key=True
    )
    interests: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime]


class LifecycleEvent(Table):
    """One passed arrow of the lifecycle: append-only, and it outlives the member."""

    __tablename__ = "lifecycle_events"
    __table_args__ = (Index(None, "identity_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    identity_id: Mapped[UUID]
    source: Mapped[str | None]
    target: Mapped[str]
    trigger: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime]


class HandledEvent(Table):
    """The name of something that happened and was recorded: it is never recorded again."""

    __tablename__ = "handled_events"
    __table_args__ = (
        # Most sorts are kept for ever: those that are not are found without passing them by.
        Index("ix_handled_events_sort", text("split_part(event, ':', 1)"), "handled_at"),
    )

    event: Mapped[str] = mapped_column(primary_key=True)
    handled_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OutboxEffect(Table):
    """One effect that is to be brought about, at least once.

    `lane` orders: of one member's effects in one lane, a later one waits for an earlier one.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "due_at",
            postgresql_where=text("done_at is null and parked_at is null"),
        ),
        Index(
            "ix_outbox_lane", "identity_id", "lane", "seq", postgresql_where=text("done_at is null")
        ),
        Index("ix_outbox_done_at", "done_at", postgresql_where=text("done_at is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    identity_id: Mapped[UUID | None]
    lane: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str] = mapped_column(server_default="")
    done_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]


class Flow(Table):
    """How far a self-service flow got, by the specification's step names."""

    __tablename__ = "flows"
    __table_args__ = (Index(None, "identity_id"), Index(None, "updated_at"))

    flow_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    steps: Mapped[list[Any]]
    error: Mapped[dict[str, Any] | None]
    identity_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Table):
    """A key of a service or an admin. The token itself is never stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class MailboxMail(Table):
    """A mail of the embedded stack, where a mail server would have taken it."""

    __tablename__ = "mailbox"
    __table_args__ = (Index(None, "recipient", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str]
    at: Mapped[datetime]
