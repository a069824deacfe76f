"""The tables of permissions, grants, requests for more, and who changed whose authority."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table

_LIVE = "revoked_at is null and expired_at is null"


class AddedPermission(Table):
    """A permission of the application. Those of the platform are in `policies.permissions`.

    Attributes:
        lowest_role: The least role that has it, with all above; None: only by a grant.
        created_by: `key:<id>`, `member:<uuid>` or `operator`.
    """

    __tablename__ = "permissions"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(server_default="")
    lowest_role: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class PermissionGrant(Table):
    """One permission given to one member. The row stays when the grant ends.

    It counts until it is revoked or `expires_at` has come, whether or not anybody noticed. Keto
    may hold its tuple until `removed_at`.

    Attributes:
        granted_by, revoked_by: `key:<id>`, `member:<uuid>`, `operator` or `system`.
        expired_at: When the end by time was noticed and recorded.
        removed_at: Since when Keto is known not to hold a tuple on this grant's account.
        idempotency_key: Of the request that made it, one per granter.
    """

    __tablename__ = "permission_grants"
    __table_args__ = (
        Index(
            "uq_permission_grants_live",
            "subject_id",
            "permission",
            unique=True,
            postgresql_where=text(_LIVE),
        ),
        Index(
            "uq_permission_grants_idempotency_key",
            "granted_by",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key is not null"),
        ),
        Index("ix_permission_grants_subject_id_created_at", "subject_id", "created_at"),
        Index(
            "ix_permission_grants_unremoved",
            "subject_id",
            postgresql_where=text("removed_at is null"),
        ),
        Index("ix_permission_grants_expires_at", "expires_at", postgresql_where=text(_LIVE)),
        Index("ix_permission_grants_created_at_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID]
    permission: Mapped[str]
    reason: Mapped[str]
    granted_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]
    removed_at: Mapped[datetime | None]
    idempotency_key: Mapped[str | None]


class Elevation(Table):
    """One request of a member for a permission for some time.

    Attributes:
        state: `requested`, `approved`, `denied`, `expired`, `withdrawn`.
        duration_seconds: Of the grant, counted from the approval.
        lapses_at: When nobody can approve it any more.
        grant_id: What the approval made.
    """

    __tablename__ = "elevations"
    __table_args__ = (
        Index(
            "uq_elevations_open",
            "subject_id",
            "permission",
            unique=True,
            postgresql_where=text("state = 'requested'"),
        ),
        Index("ix_elevations_lapses_at", "lapses_at", postgresql_where=text("state = 'requested'")),
        Index("ix_elevations_requested_at_id", "requested_at", "id"),
        Index("ix_elevations_subject_id_requested_at", "subject_id", "requested_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID]
    permission: Mapped[str]
    duration_seconds: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str]
    requested_at: Mapped[datetime]
    lapses_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decision_reason: Mapped[str] = mapped_column(server_default="")
    grant_id: Mapped[UUID | None]


class AuthorityAudit(Table):
    """One change of somebody's authority: append-only, kept, and it outlives the member.

    Attributes:
        actor: `key:<id>`, `member:<uuid>`, `operator` or `system`.
        action: Dotted, such as `grant.created`, `role.changed`, `elevation.denied`.
        subject_id: The member; None: the catalogue.
    """

    __tablename__ = "authority_audit"
    __table_args__ = (
        Index("ix_authority_audit_subject_id_id", "subject_id", "id"),
        Index("ix_authority_audit_actor_id", "actor", "id"),
        Index("ix_authority_audit_action_id", "action", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject_id: Mapped[UUID | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    reason: Mapped[str] = mapped_column(server_default="")
    request_id: Mapped[str] = mapped_column(server_default="")
