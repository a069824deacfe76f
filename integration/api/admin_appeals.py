"""`/api/admin/appeals`: appeals are read, accepted and rejected."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from integration.api.admin_authentication import needs
from integration.api.inputs import Verdict
from integration.api.paging import Page, Paged
from integration.authority.admins import Admin
from integration.db import appeals as rows
from integration.db.appeal_tables import Appeal
from integration.dependencies import Transaction, UsesServices
from integration.errors import NotFoundError
from integration.members import appeals
from policies.appeals import AppealState

router = APIRouter(prefix="/api/admin/appeals", tags=["appeals"])

Reader = Annotated[Admin, needs("appeals.review", "identities:read")]
Decider = Annotated[Admin, needs("appeals.decide", "identities:write")]


class AppealView(BaseModel):
    """One appeal. `decided_by` is `key:…`, `member:…`, or `system` for one that became moot."""

    id: UUID
    member: UUID
    state: AppealState
    statement: str
    suspended_at: datetime
    made_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str


@router.get("")
def list_appeals(
    _: Reader,
    paged: Paged,
    session: Transaction,
    state: AppealState | None = None,
    member: UUID | None = None,
) -> Page[AppealView]:
    """List appeals, the latest first."""
    found = rows.page(
        session,
        identity_id=member,
        state=state,
        after=paged.after_moment(),
        limit=paged.limit + 1,
    )
    return paged.page(found, _view, lambda row: [row.made_at, row.id])


@router.get("/{appeal_id}")
def get_appeal(appeal_id: UUID, _: Reader, session: Transaction) -> AppealView:
    """Return one appeal."""
    found = rows.get(session, appeal_id)
    if found is None:
        raise NotFoundError("There is no such appeal.", problem="appeal_unknown")
    return _view(found)


@router.post("/{appeal_id}/accept")
def accept_appeal(
    appeal_id: UUID,
    verdict: Verdict,
    admin: Decider,
    session: Transaction,
    services: UsesServices,
) -> AppealView:
    """Accept an appeal: its member is active again, and is told.

    409 `appeal_not_open`; 403 `role_not_held` for a member whose role holds more than the caller.
    """
    return _view(appeals.accept(session, admin, appeal_id, verdict.reason, now=services.now()))


@router.post("/{appeal_id}/reject")
def reject_appeal(
    appeal_id: UUID,
    verdict: Verdict,
    admin: Decider,
    session: Transaction,
    services: UsesServices,
) -> AppealView:
    """Reject an appeal; the member is told the reason, without which it is 422."""
    return _view(appeals.reject(session, admin, appeal_id, verdict.reason, now=services.now()))


def _view(row: Appeal) -> AppealView:
    return AppealView(
        id=row.id,
        member=row.identity_id,
        state=AppealState(row.state),
        statement=row.statement,
        suspended_at=row.suspended_at,
        made_at=row.made_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
    )
