"""login attempts

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identifier_hash", sa.LargeBinary(), nullable=True),
        sa.Column("identity_id", sa.Uuid(), nullable=True),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("flow_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempts")),
    )
    for columns in (["at"], ["identity_id", "at"], ["identifier_hash", "at"], ["address", "at"]):
        name = f"ix_login_attempts_{'_'.join(columns)}"
        op.create_index(op.f(name), "login_attempts", columns, unique=False)
    op.create_index("ix_members_email", "members", [sa.text("lower(email)")], unique=False)
