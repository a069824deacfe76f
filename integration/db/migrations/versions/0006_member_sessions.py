"""sessions of members

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member_sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("methods", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("aal", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("user_agent", sa.Text(), server_default="", nullable=False),
        sa.Column("country", sa.Text(), server_default="", nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activity_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("hold", sa.Text(), nullable=True),
        sa.Column("hold_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_member_sessions")),
    )
    op.create_index(
        "ix_member_sessions_identity_id_started_at",
        "member_sessions",
        ["identity_id", "started_at"],
        unique=False,
    )
    op.create_index("ix_member_sessions_ended_at", "member_sessions", ["ended_at"], unique=False)
    op.create_index(
        "ix_member_sessions_expires_at", "member_sessions", ["expires_at"], unique=False
    )
    for name in ("second_factor", "requires_second_factor"):
        op.add_column(
            "members", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.add_column("members", sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True))
