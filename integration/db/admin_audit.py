"""What admins changed through Ory's admin paths. The edge writes the rows, without an ORM."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db.tables import AdminAudit


def of_identity(session: Session, identity_id: UUID, *, limit: int = 100) -> list[AdminAudit]:
    """Return the newest calls that changed an identity, oldest first."""
    newest = (
        select(AdminAudit)
        .where(AdminAudit.identity_id == identity_id)
        .order_by(AdminAudit.at.desc())
        .limit(limit)
    )
    return list(reversed(session.scalars(newest).all()))
