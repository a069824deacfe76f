"""indexes for what is deleted by its age

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_security_events_at", "security_events", ["at"])
    op.create_index(
        "ix_outbox_done_at",
        "outbox",
        ["done_at"],
        postgresql_where=sa.text("done_at is not null"),
    )
    op.create_index(
        "ix_handled_events_sort",
        "handled_events",
        [sa.text("split_part(event, ':', 1)"), "handled_at"],
    )
    op.create_index(
        "ix_email_changes_ended_at",
        "email_changes",
        ["ended_at"],
        postgresql_where=sa.text("ended_at is not null"),
    )
