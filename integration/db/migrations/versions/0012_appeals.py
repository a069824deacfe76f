"""appeals of the suspended

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "appeals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision_reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_appeals"),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["members.identity_id"],
            name="fk_appeals_identity_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "state in ('open', 'accepted', 'rejected', 'moot')", name="ck_appeals_state"
        ),
    )
    op.create_index("ix_appeals_identity_id_made_at", "appeals", ["identity_id", "made_at"])
    op.create_index("ix_appeals_made_at_id", "appeals", ["made_at", "id"])
    op.create_index(
        "uq_appeals_open",
        "appeals",
        ["identity_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
