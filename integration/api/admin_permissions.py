"""`/api/admin/permissions`: which permissions exist; applications add and remove their own."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from integration.api.admin_authentication import needs
from integration.api.inputs import Name, Reason
from integration.authority import catalogue, permissions
from integration.authority.admins import Admin
from integration.dependencies import Transaction, UsesServices
from policies.authority import Role
from policies.permissions import Permission, built_in

router = APIRouter(prefix="/api/admin/permissions", tags=["permissions"])

Reader = Annotated[Admin, needs("permissions.read", "permissions:read")]
Writer = Annotated[Admin, needs("permissions.write", "permissions:write")]


class PermissionView(BaseModel):
    """One permission. `lowest_role` and every role above it have it; null: only by a grant."""

    name: str
    description: str
    lowest_role: Role | None
    built_in: bool


class PermissionsView(BaseModel):
    """Every permission, by name. Wildcards above each exist besides."""

    items: list[PermissionView]


class NewPermission(BaseModel):
    """A permission of the application."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Reason = ""
    lowest_role: Role | None = None


@router.get("")
def list_permissions(_: Reader, session: Transaction) -> PermissionsView:
    """List the platform's permissions and the application's."""
    ours = [_view(item, built_in=True) for item in built_in()]
    added = [_view(item, built_in=False) for item in permissions.added(session)]
    return PermissionsView(items=sorted(ours + added, key=lambda item: item.name))


@router.post("", status_code=201)
def add_permission(
    new: NewPermission,
    admin: Writer,
    response: Response,
    session: Transaction,
    services: UsesServices,
) -> PermissionView:
    """Add a permission; 200 when it is there just so, 409 when it is there otherwise."""
    wanted = Permission(new.name, new.description, new.lowest_role)
    if not catalogue.add(session, admin, wanted, now=services.now()):
        response.status_code = 200
    return _view(wanted, built_in=False)


@router.delete("/{name}", status_code=204)
def remove_permission(
    name: Name, admin: Writer, services: UsesServices, reason: Reason = ""
) -> None:
    """Remove a permission that the application added, from the roles that have it too.

    409 while it is granted to somebody. Answers when Keto has been told, or after two seconds.
    """
    with services.transaction() as session:
        catalogue.remove(session, admin, name, reason=reason, now=services.now())
    catalogue.until_told(services)


def _view(item: Permission, *, built_in: bool) -> PermissionView:
    return PermissionView(
        name=item.name,
        description=item.description,
        lowest_role=item.lowest_role,
        built_in=built_in,
    )
