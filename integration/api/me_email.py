"""`/api/me/email`: the member's e-mail address, and how it changes."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from integration.api.authentication import MemberCalling, RecentlyAuthenticated
from integration.api.clients import AskedFor
from integration.api.problems import problem
from integration.dependencies import UsesServices
from integration.members.callers import Caller
from integration.members.email_changes import asking
from integration.services import Services
from policies.email_changes import State

router = APIRouter(prefix="/api/me/email", tags=["me"])


class PendingEmail(BaseModel):
    """An address that waits for the code from its mail."""

    email: str
    expires_at: datetime


class EmailView(BaseModel):
    """The member's address; the one it asked for; until when the last change can be taken back."""

    email: str
    pending: PendingEmail | None
    revertible_until: datetime | None


class EmailWanted(BaseModel):
    email: Annotated[str, StringConstraints(min_length=3, max_length=255)]


class CodeGiven(BaseModel):
    code: Annotated[str, StringConstraints(pattern=r"^\d{6}$")]


class TicketGiven(BaseModel):
    ticket: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Reverted(BaseModel):
    """`reverted`, or `reverting` while it is still on its way."""

    state: str


@router.get("")
def get_email(caller: MemberCalling, services: UsesServices) -> EmailView:
    """Return the address, what is pending, and what can be taken back."""
    return _view(caller, services)


@router.post("", status_code=202)
def ask_for_email(
    wanted: EmailWanted,
    caller: RecentlyAuthenticated,
    client: AskedFor,
    services: UsesServices,
) -> EmailView:
    """Ask for another address: a code goes there, a notice to the present one.

    Needs a login within the last 15 minutes (403 `session_refresh_required`). 422 tells in `errors`
    why an address cannot be taken; 429 that too many mails were sent.
    """
    asking.ask(services, caller.member.identity_id, wanted.email, client)
    return _view(caller, services)


@router.delete("", status_code=204)
def cancel_email(caller: MemberCalling, services: UsesServices) -> None:
    """Forget the address that waits."""
    asking.cancel(services, caller.member.identity_id)


@router.post("/confirm")
def confirm_email(
    given: CodeGiven, caller: MemberCalling, client: AskedFor, services: UsesServices
) -> EmailView:
    """Prove the address by the code from its mail; from now on it is the member's."""
    asking.confirm(services, caller.member.identity_id, given.code, client)
    return _view(caller, services)


@router.post("/revert", response_model=Reverted)
def revert_email(given: TicketGiven, services: UsesServices) -> Reverted | JSONResponse:
    """Take a change back, with the ticket from the mail to the old address. Needs no session.

    Every session ends and the password stops working: a recovery by the old address follows.
    404: no ticket of ours; 409: too late, or somebody else has the old address (`email_taken`).
    """
    state = asking.revert(services, given.ticket)
    if state is State.LOST:
        words = "The old address belongs to another account by now."
        return problem(HTTPStatus.CONFLICT, "email_taken", words)
    return Reverted(state=state)


def _view(caller: Caller, services: Services) -> EmailView:
    now = asking.standing(services, caller.member.identity_id)
    pending = None
    if now.pending is not None and now.pending_until is not None:
        pending = PendingEmail(email=now.pending, expires_at=now.pending_until)
    return EmailView(email=now.email, pending=pending, revertible_until=now.revertible_until)
