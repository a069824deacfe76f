"""Who is changing somebody's authority: a member, an API key, or the operator at the terminal."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration.authority import permissions
from integration.db import grants, members
from integration.db.authority_audit import OPERATOR, By
from policies.authority import Role
from policies.grants import Granter, Holding
from policies.lifecycle import Status
from policies.permissions import permissions_of
from policies.scopes import permits

_ADMINISTERING_SCOPE = "roles:write"


@dataclass(frozen=True, slots=True)
class Admin:
    """One who was let in.

    Attributes:
        member_id: None: a key, or the operator.
        scopes: Of a key; None: a member, or the operator.
    """

    by: By
    member_id: UUID | None = None
    scopes: frozenset[str] | None = None


THE_OPERATOR = Admin(By(OPERATOR))


def granter(session: Session, admin: Admin, *, now: datetime) -> Granter:
    """Return what an admin may hand on, read in the transaction that uses it."""
    if admin.member_id is None:
        administers = admin.scopes is None or permits(admin.scopes, _ADMINISTERING_SCOPE)
        return Granter(subject_id=None, administers=administers)
    return Granter(str(admin.member_id), holdings(session, admin.member_id, now=now))


def holdings(session: Session, identity_id: UUID, *, now: datetime) -> tuple[Holding, ...]:
    """Return what a member holds and until when; nothing unless it is active."""
    member = members.get(session, identity_id)
    if member is None or Status(member.status) is not Status.ACTIVE:
        return ()
    by_role = permissions_of(Role(member.role), permissions.added(session))
    granted = grants.live(session, identity_id, now=now)
    return (
        *(Holding(name) for name in sorted(by_role)),
        *(Holding(grant.permission, grant.expires_at) for grant in granted),
    )
