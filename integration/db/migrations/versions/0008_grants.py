"""grants of permissions and requests for more

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_LIVE = "revoked_at is null and expired_at is null"


def upgrade() -> None:
    op.create_table(
        "permissions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("lowest_role", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_permissions")),
    )
    _grants()
    _elevations()
    _audit()


def _grants() -> None:
    table = "permission_grants"
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("expired_at", _TIME, nullable=True),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("removed_at", _TIME, nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permission_grants")),
    )
    op.create_index(
        "uq_permission_grants_live",
        table,
        ["subject_id", "permission"],
        unique=True,
        postgresql_where=sa.text(_LIVE),
    )
    op.create_index(
        "uq_permission_grants_idempotency_key",
        table,
        ["granted_by", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key is not null"),
    )
    op.create_index(
        "ix_permission_grants_subject_id_created_at", table, ["subject_id", "created_at"]
    )
    op.create_index(
        "ix_permission_grants_unremoved",
        table,
        ["subject_id"],
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_index(
        "ix_permission_grants_expires_at",
        table,
        ["expires_at"],
        postgresql_where=sa.text(_LIVE),
    )
    op.create_index("ix_permission_grants_created_at_id", table, ["created_at", "id"])


def _elevations() -> None:
    table = "elevations"
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("lapses_at", _TIME, nullable=False),
        sa.Column("decided_at", _TIME, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elevations")),
    )
    requested = sa.text("state = 'requested'")
    op.create_index(
        "uq_elevations_open",
        table,
        ["subject_id", "permission"],
        unique=True,
        postgresql_where=requested,
    )
    op.create_index("ix_elevations_lapses_at", table, ["lapses_at"], postgresql_where=requested)
    op.create_index("ix_elevations_requested_at_id", table, ["requested_at", "id"])
    op.create_index("ix_elevations_subject_id_requested_at", table, ["subject_id", "requested_at"])


def _audit() -> None:
    table = "authority_audit"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("request_id", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authority_audit")),
    )
    op.create_index("ix_authority_audit_subject_id_id", table, ["subject_id", "id"])
    op.create_index("ix_authority_audit_actor_id", table, ["actor", "id"])
    op.create_index("ix_authority_audit_action_id", table, ["action", "id"])
