"""What a member may do by our own tables: by its role, and by grants that count now."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db import authority_audit, grants, members
from integration.db.grant_tables import AddedPermission
from policies.authority import Role
from policies.lifecycle import Status
from policies.permissions import Permission, existing, names_held

REMOVED = "permission.removed"
"""What the log of authority calls it."""


def added(session: Session) -> list[Permission]:
    """Return the application's own permissions, by name."""
    rows = session.scalars(select(AddedPermission).order_by(AddedPermission.name))
    return [as_permission(row) for row in rows]


def as_permission(row: AddedPermission) -> Permission:
    role = None if row.lowest_role is None else Role(row.lowest_role)
    return Permission(row.name, row.description, role)


def hold(session: Session) -> None:
    """Let no permission be removed before this transaction ends."""
    session.execute(select(AddedPermission.name).with_for_update(read=True, key_share=True))


def removed(session: Session) -> list[Permission]:
    """Return the application's permissions that were removed, as they were; the log knows."""
    return [
        Permission(
            before["name"], lowest_role=before["lowest_role"] and Role(before["lowest_role"])
        )
        for before in authority_audit.befores(session, REMOVED)
    ]


def catalogue(session: Session) -> dict[str, Permission]:
    """Return every permission there is, by name, wildcards among them."""
    return existing(added(session))


def names_of(session: Session, identity_id: UUID, now: datetime) -> list[str]:
    """Return the names a member holds, as `names_held` says; none unless it is active."""
    member = members.get(session, identity_id)
    if member is None or Status(member.status) is not Status.ACTIVE:
        return []
    granted = (grant.permission for grant in grants.live(session, identity_id, now=now))
    return names_held(Role(member.role), added(session), granted)
