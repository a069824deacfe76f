"""What a member may do, by the names of permissions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db.tables import Member
from policies.authority import Role
from policies.role_permissions import ROLE_PERMISSIONS


def names_of(session: Session, identity_id: UUID, now: datetime) -> list[str]:
    """Return the names of what a member may do now, in order; none for nobody."""
    del now
    role = session.scalar(select(Member.role).where(Member.identity_id == identity_id))
    return [] if role is None else sorted(ROLE_PERMISSIONS[Role(role)])
