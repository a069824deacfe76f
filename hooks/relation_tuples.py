"""Role tuples that a client wrote through Ory's path. The edge tells them: they are our state."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import Field
from sqlalchemy.orm import Session

from hooks.authentication import FromKratos
from hooks.payloads import HookPayload, Text
from integration.authority.admins import Admin
from integration.db import locks
from integration.db import members as member_rows
from integration.db.authority_audit import By
from integration.dependencies import Transaction, UsesServices
from integration.errors import ConflictError, NotFoundError
from integration.members import roles
from integration.services import Services
from policies.authority import Role
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.role_writes import RoleWrite, decide_new_role
from policies.tuple_writes import MAX_OPERATIONS

router = APIRouter(prefix="/hooks/relation-tuples", dependencies=[FromKratos])

# The edge lets nobody else write tuples of roles.
_SCOPES = frozenset({"roles:write"})
_REASON = "written as a relation tuple"


class RoleChange(HookPayload):
    """What tuples say about one member."""

    identity_id: UUID
    assign: Role | None
    take: frozenset[Role]


class RoleChanges(HookPayload):
    """What one call says.

    Attributes:
        api_key_id: Public id of the key it came with.
    """

    api_key_id: Text
    changes: Annotated[tuple[RoleChange, ...], Field(max_length=MAX_OPERATIONS)]


@router.post("/roles", status_code=204)
def roles_written(
    payload: RoleChanges,
    session: Transaction,
    services: UsesServices,
    x_request_id: Annotated[str, Header()] = "",
) -> None:
    """Give members the roles that the tuples say, all in one transaction."""
    locks.hold_admins(session)
    admin = Admin(By(f"key:{payload.api_key_id}", x_request_id), scopes=_SCOPES)
    # In one order everywhere, or two transactions wait for each other.
    for change in sorted(payload.changes, key=lambda each: each.identity_id):
        _assign(session, services, admin, change)


def _assign(session: Session, services: Services, admin: Admin, change: RoleChange) -> None:
    member = member_rows.lock(session, change.identity_id)
    if member is None:
        raise NotFoundError("There is no such member.", detail=str(change.identity_id))
    wanted = RoleWrite(change.assign, change.take)
    role = decide_new_role(Status(member.status), Role(member.role), wanted)
    if isinstance(role, Deny):
        raise ConflictError(role.reasons[0].text, detail=role.reasons[0].code)
    roles.assign(session, admin, change.identity_id, role, _REASON, now=services.now())
