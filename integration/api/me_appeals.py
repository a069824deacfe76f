"""`/api/me/appeals`: a suspended member asks to be let back in, with the ticket of its login."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from integration.api.authentication import MemberCalling
from integration.api.inputs import Statement, Ticket
from integration.api.paging import Page, Paged
from integration.db import appeals as rows
from integration.db.appeal_tables import Appeal
from integration.dependencies import Transaction, UsesServices
from integration.members import appeals, tickets
from policies.appeals import AppealState
from policies.login_refusals import NextStep

router = APIRouter(prefix="/api/me/appeals", tags=["me"])


class NewAppeal(BaseModel):
    """Why the suspension should end."""

    model_config = ConfigDict(extra="forbid")

    ticket: Ticket
    statement: Statement


class OwnAppealView(BaseModel):
    """An appeal as its member sees it; `decision_reason` is what the decider said."""

    id: UUID
    state: AppealState
    statement: str
    made_at: datetime
    decided_at: datetime | None
    decision_reason: str


@router.post("", status_code=201)
def make_appeal(new: NewAppeal, session: Transaction, services: UsesServices) -> OwnAppealView:
    """Appeal against a suspension. Needs no session, which the suspended have not.

    403 `ticket_refused`; 409 `appeal_open`, or `appeal_too_soon` within 7 days of a rejection.
    """
    now = services.now()
    member = tickets.redeem(session, services.settings, NextStep.APPEAL, new.ticket, now=now)
    return _view(appeals.make(session, member, new.statement, now=now))


@router.get("")
def list_appeals(caller: MemberCalling, paged: Paged, session: Transaction) -> Page[OwnAppealView]:
    """List the member's appeals, the latest first."""
    found = rows.page(
        session,
        identity_id=caller.member.identity_id,
        after=paged.after_moment(),
        limit=paged.limit + 1,
    )
    return paged.page(found, _view, lambda row: [row.made_at, row.id])


def _view(row: Appeal) -> OwnAppealView:
    return OwnAppealView(
        id=row.id,
        state=AppealState(row.state),
        statement=row.statement,
        made_at=row.made_at,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )
