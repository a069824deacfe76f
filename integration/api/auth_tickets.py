"""What a member does whose login was refused: with a ticket from `next` of `/api/auth/login`.

A ticket is good for one step, once, for a quarter of an hour, and while the member is in the state
that the login met. All else is 403 `ticket_refused`. Appeals are at `/api/me/appeals`.
"""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from integration.api.clients import AskedFor
from integration.api.inputs import Ticket
from integration.dependencies import Transaction, UsesServices
from integration.members import completing, leaving, resending, tickets
from policies.lifecycle import Status
from policies.login_refusals import NextStep

router = APIRouter(prefix="/api/auth", tags=["auth"])


class TicketGiven(BaseModel):
    """A ticket and nothing else."""

    model_config = ConfigDict(extra="forbid")

    ticket: Ticket


class ProfileGiven(BaseModel):
    """A ticket, and what the profile lacks."""

    model_config = ConfigDict(extra="forbid")

    ticket: Ticket
    display_name: str = Field(max_length=200)


class ResentView(BaseModel):
    """Kratos' flow that takes the code from the mail."""

    verification_flow_id: UUID


class StandingView(BaseModel):
    """The member, and the state it is in now."""

    id: UUID
    status: Status


@router.post("/resend-verification", status_code=HTTPStatus.ACCEPTED)
def resend_verification(given: TicketGiven, client: AskedFor, services: UsesServices) -> ResentView:
    """Have another verification mail sent. 429 with `Retry-After` when too many were; the ticket
    stays good then."""
    flow_id = resending.resend(services, given.ticket, client)
    return ResentView(verification_flow_id=flow_id)


@router.post("/reactivate")
def reactivate(given: TicketGiven, session: Transaction, services: UsesServices) -> StandingView:
    """Make a deactivated account active again; a mail tells of it.

    The login works once Kratos has heard, mostly at once; until then it answers 503.
    """
    now = services.now()
    step = NextStep.REACTIVATE
    member = tickets.redeem(session, services.settings, step, given.ticket, now=now)
    leaving.reactivate(session, member.identity_id, now=now)
    return StandingView(id=member.identity_id, status=Status(member.status))


@router.post("/complete-profile")
def complete_profile(given: ProfileGiven, services: UsesServices) -> StandingView:
    """Give what the profile of somebody lacks who came by another provider.

    409 `email_not_verified` when nobody vouched for the address: a verification flow comes first.
    """
    done = completing.complete(services, given.ticket, given.display_name)
    return StandingView(id=done, status=Status.ACTIVE)
