"""`/api/admin/grants`: who was given which permission, by whom, why and until when."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import AwareDatetime, BaseModel, ConfigDict

from integration.api.admin_authentication import needs
from integration.api.inputs import Name, Reason
from integration.api.paging import Page, Paged
from integration.authority import grants
from integration.authority.admins import Admin
from integration.db import grants as rows
from integration.db.grant_tables import PermissionGrant
from integration.dependencies import Transaction, UsesServices
from integration.errors import NotFoundError
from policies.grants import Wish

router = APIRouter(prefix="/api/admin/grants", tags=["grants"])

Reader = Annotated[Admin, needs("grants.read", "permissions:read")]
Writer = Annotated[Admin, needs("grants.write", "permissions:write")]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class NewGrant(BaseModel):
    """What is to be granted."""

    model_config = ConfigDict(extra="forbid")

    subject: UUID
    permission: Name
    expires_at: AwareDatetime | None = None
    reason: Reason


class Renewal(BaseModel):
    """Another end for a grant; null: none."""

    model_config = ConfigDict(extra="forbid")

    expires_at: AwareDatetime | None
    reason: Reason = ""


class GrantView(BaseModel):
    """One grant; `state` is `active`, `revoked` or `expired`."""

    id: UUID
    subject: UUID
    permission: str
    state: str
    reason: str
    granted_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


def view_of(grant: PermissionGrant, now: datetime) -> GrantView:
    return GrantView(
        id=grant.id,
        subject=grant.subject_id,
        permission=grant.permission,
        state=grants.state_of(grant, now),
        reason=grant.reason,
        granted_by=grant.granted_by,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        revoked_at=grant.revoked_at,
        revoked_by=grant.revoked_by,
    )


@router.post("", status_code=201)
def create_grant(
    new: NewGrant,
    admin: Writer,
    session: Transaction,
    services: UsesServices,
    idempotency_key: IdempotencyKey = None,
) -> GrantView:
    """Give a member a permission. With the same `Idempotency-Key` again: the same grant.

    409 `grant_exists` with the `id` when the member has a grant of it; renew that instead."""
    now = services.now()
    made = grants.grant(
        session,
        admin,
        new.subject,
        Wish(new.permission, new.expires_at, new.reason),
        rules=grants.rules_of(services.settings),
        now=now,
        idempotency_key=idempotency_key,
    )
    return view_of(made, now)


@router.get("")
def list_grants(
    *,
    _: Reader,
    paged: Paged,
    session: Transaction,
    services: UsesServices,
    subject: UUID | None = None,
    permission: Name | None = None,
    active: bool = False,
) -> Page[GrantView]:
    """List grants, the latest first; with `active=true` only those that count now."""
    now = services.now()
    found = rows.page(
        session,
        now=now,
        subject_id=subject,
        permission=permission,
        only_live=active,
        after=paged.after_moment(),
        limit=paged.limit + 1,
    )
    return paged.page(found, lambda row: view_of(row, now), lambda row: [row.created_at, row.id])


@router.get("/{grant_id}")
def get_grant(grant_id: UUID, _: Reader, session: Transaction, services: UsesServices) -> GrantView:
    """Return one grant, also one that has ended."""
    found = rows.get(session, grant_id)
    if found is None:
        raise NotFoundError("There is no such grant.", problem="grant_unknown")
    return view_of(found, services.now())


@router.patch("/{grant_id}")
def renew_grant(
    grant_id: UUID, renewal: Renewal, admin: Writer, session: Transaction, services: UsesServices
) -> GrantView:
    """Give a grant that counts another end; 409 `grant_ended` when it has ended."""
    now = services.now()
    renewed = grants.renew(
        session,
        admin,
        grant_id,
        expires_at=renewal.expires_at,
        reason=renewal.reason,
        rules=grants.rules_of(services.settings),
        now=now,
    )
    return view_of(renewed, now)


@router.delete("/{grant_id}", status_code=204)
def revoke_grant(
    grant_id: UUID,
    admin: Writer,
    session: Transaction,
    services: UsesServices,
    reason: Reason = "",
) -> None:
    """Take a permission away; 204 also when the grant has ended already."""
    grants.revoke(session, admin, grant_id, reason, now=services.now())
