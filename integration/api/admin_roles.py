"""`/api/admin/roles` and `/api/admin/members/{id}/role`: what roles are, and who has which."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from integration.api.admin_authentication import needs
from integration.api.inputs import Reason
from integration.api.paging import Page, Paged
from integration.authority import permissions
from integration.authority.admins import Admin
from integration.db import role_holders
from integration.db.tables import Member
from integration.dependencies import Transaction, UsesServices
from integration.members import roles
from policies.authority import Role
from policies.permissions import permissions_of, roles_below

router = APIRouter(prefix="/api/admin", tags=["roles"])

Reader = Annotated[Admin, needs("roles.read", "roles:read")]
Writer = Annotated[Admin, needs("roles.write", "roles:write")]


class RoleView(BaseModel):
    """One role: all its permissions, those of the roles below among them."""

    role: Role
    below: list[Role]
    permissions: list[str]
    members: int


class RolesView(BaseModel):
    """All roles, the lowest first. Guests have no row and no role."""

    items: list[RoleView]


class HolderView(BaseModel):
    """One member with a role."""

    id: UUID
    username: str | None
    email: str | None
    role: str
    status: str


class NewRole(BaseModel):
    """Another role for a member, and why."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    reason: Reason


class RoleChangedView(BaseModel):
    """A member's role, and the one it had before."""

    id: UUID
    role: Role
    before: Role


@router.get("/roles")
def list_roles(_: Reader, session: Transaction) -> RolesView:
    """List the roles, what each may do, and how many members have it."""
    added = permissions.added(session)
    numbers = role_holders.count_by_role(session)
    return RolesView(
        items=[
            RoleView(
                role=role,
                below=list(roles_below(role)[:-1]),
                permissions=sorted(permissions_of(role, added)),
                members=numbers.get(role, 0),
            )
            for role in Role
        ]
    )


@router.get("/roles/{role}/members")
def list_role_members(
    role: Role, _: Reader, paged: Paged, session: Transaction
) -> Page[HolderView]:
    """List who has a role, by id."""
    found = role_holders.of_role(session, role, after=paged.after_id(), limit=paged.limit + 1)
    return paged.page(found, _holder, lambda row: [row.identity_id])


@router.put("/members/{member_id}/role")
def set_role(
    member_id: UUID, new: NewRole, admin: Writer, session: Transaction, services: UsesServices
) -> RoleChangedView:
    """Give a member another role; 409 `last_admin` when nobody else would be admin."""
    before = roles.assign(session, admin, member_id, new.role, new.reason, now=services.now())
    return RoleChangedView(id=member_id, role=new.role, before=before)


def _holder(member: Member) -> HolderView:
    return HolderView(
        id=member.identity_id,
        username=member.username,
        email=member.email,
        role=member.role,
        status=member.status,
    )
