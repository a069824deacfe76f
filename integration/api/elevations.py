"""`/api/me/elevations` and `/api/admin/elevations`: a permission for a while, asked and decided."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from integration.api.admin_authentication import needs, request_id_of
from integration.api.authentication import MemberCalling
from integration.api.inputs import Name, Reason, Verdict
from integration.api.paging import Page, Paged
from integration.authority import elevations
from integration.authority.admins import Admin
from integration.authority.grants import rules_of
from integration.db import elevations as rows
from integration.db.authority_audit import By
from integration.db.grant_tables import Elevation
from integration.dependencies import Transaction, UsesServices
from policies.elevations import ElevationState

router = APIRouter(tags=["elevations"])

Reader = Annotated[Admin, needs("grants.read", "permissions:read")]
Writer = Annotated[Admin, needs("grants.write", "permissions:write")]


class NewElevation(BaseModel):
    """What a member asks for; `duration` is ISO 8601, such as `PT1H`."""

    model_config = ConfigDict(extra="forbid")

    permission: Name
    duration: timedelta
    reason: Reason


class ElevationView(BaseModel):
    """One request; `grant` is the grant an approval made, which ends by itself."""

    id: UUID
    subject: UUID
    permission: str
    duration: timedelta
    reason: str
    state: ElevationState
    requested_at: datetime
    lapses_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str
    grant: UUID | None


@router.post("/api/me/elevations", status_code=201)
def ask(
    new: NewElevation,
    request: Request,
    caller: MemberCalling,
    session: Transaction,
    services: UsesServices,
) -> ElevationView:
    """Ask for a permission; another person has to approve it.

    409 `elevation_open` with the `id` when the same was asked and is not decided yet."""
    member_id = caller.member.identity_id
    made = elevations.request(
        session,
        By(f"member:{member_id}", request_id_of(request)),
        member_id,
        new.permission,
        new.duration,
        reason=new.reason,
        rules=rules_of(services.settings),
        now=services.now(),
    )
    return _view(made)


@router.get("/api/me/elevations")
def list_own(caller: MemberCalling, paged: Paged, session: Transaction) -> Page[ElevationView]:
    """List what the member asked for, the latest first."""
    found = rows.page(
        session,
        subject_id=caller.member.identity_id,
        after=paged.after_moment(),
        limit=paged.limit + 1,
    )
    return paged.page(found, _view, _key)


@router.delete("/api/me/elevations/{elevation_id}", status_code=204)
def withdraw(
    elevation_id: UUID,
    request: Request,
    caller: MemberCalling,
    session: Transaction,
    services: UsesServices,
) -> None:
    """Take a request back; 409 when it is decided already."""
    member_id = caller.member.identity_id
    by = By(f"member:{member_id}", request_id_of(request))
    elevations.withdraw(session, by, member_id, elevation_id, now=services.now())


@router.get("/api/admin/elevations")
def list_all(
    _: Reader,
    paged: Paged,
    session: Transaction,
    state: ElevationState | None = None,
    subject: UUID | None = None,
) -> Page[ElevationView]:
    """List requests, the latest first."""
    found = rows.page(
        session,
        subject_id=subject,
        state=state,
        after=paged.after_moment(),
        limit=paged.limit + 1,
    )
    return paged.page(found, _view, _key)


@router.post("/api/admin/elevations/{elevation_id}/approve")
def approve(
    elevation_id: UUID,
    verdict: Verdict,
    admin: Writer,
    session: Transaction,
    services: UsesServices,
) -> ElevationView:
    """Approve a request of somebody else, with a permission one holds oneself."""
    rules = rules_of(services.settings)
    known, _ = elevations.approve(
        session, admin, elevation_id, verdict.reason, rules=rules, now=services.now()
    )
    return _view(known)


@router.post("/api/admin/elevations/{elevation_id}/deny")
def deny(
    elevation_id: UUID,
    verdict: Verdict,
    admin: Writer,
    session: Transaction,
    services: UsesServices,
) -> ElevationView:
    """Deny a request of somebody else; the member is told the reason."""
    return _view(elevations.deny(session, admin, elevation_id, verdict.reason, now=services.now()))


def _view(row: Elevation) -> ElevationView:
    return ElevationView(
        id=row.id,
        subject=row.subject_id,
        permission=row.permission,
        duration=timedelta(seconds=row.duration_seconds),
        reason=row.reason,
        state=ElevationState(row.state),
        requested_at=row.requested_at,
        lapses_at=row.lapses_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        grant=row.grant_id,
    )


def _key(row: Elevation) -> list[object]:
    return [row.requested_at, row.id]
