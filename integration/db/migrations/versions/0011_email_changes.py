"""changes of addresses and what security asks

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "email_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("old_email", sa.Text(), nullable=False),
        sa.Column("new_email", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revertible_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verification_flow_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_email_changes"),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["members.identity_id"],
            name="fk_email_changes_identity_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "state in ('asked', 'proven', 'done', 'reverting', 'reverted', 'cancelled', 'expired',"
            " 'taken', 'lost', 'superseded')",
            name="ck_email_changes_state",
        ),
    )
    op.create_index(
        "ix_email_changes_identity_id_asked_at", "email_changes", ["identity_id", "asked_at"]
    )
    op.create_index(
        "uq_email_changes_open",
        "email_changes",
        ["identity_id"],
        unique=True,
        postgresql_where=sa.text("state in ('asked', 'proven', 'reverting')"),
    )
    op.create_index(
        "ix_email_changes_old_email",
        "email_changes",
        ["old_email"],
        postgresql_where=sa.text("state in ('done', 'reverting')"),
    )
    op.create_index(
        "ix_email_changes_new_email",
        "email_changes",
        ["new_email"],
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_index(
        "ix_email_changes_expires_at",
        "email_changes",
        ["expires_at"],
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_table(
        "security_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("facts", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
    )
    op.create_index(
        "ix_security_events_identity_id_at_id", "security_events", ["identity_id", "at", "id"]
    )
