"""`POST /api/auth/login`: the specification's login in one call."""

from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from integration.api.clients import AskedFor, CallingClient
from integration.api.driven_flows import invalid, refused_before
from integration.api.me import ProfileView
from integration.api.problems import problem
from integration.api.tokens import NO_STORE, TokensView, view
from integration.db import members
from integration.db.tables import Member
from integration.dependencies import UsesKeyRing, UsesServices
from integration.errors import SecondFactorNeededError, UpstreamUnavailableError
from integration.members import appeals, tickets
from integration.ory.flow_messages import INVALID_CREDENTIALS, complaints
from integration.ory.kratos_flows import FlowKind
from integration.ory.kratos_models import KratosSession
from integration.ory.own_edge import FlowAnswer
from integration.services import Services
from integration.tokens import issuing
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens
from integration.tokens.key_ring import KeyRing
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login
from policies.login_refusals import NextStep, next_steps

router = APIRouter(prefix="/api/auth", tags=["auth"])

_CONFIRM = "Please confirm that it is you."
_WRONG = "The identifier or the password is wrong."


class Login(BaseModel):
    """Who wants in."""

    identifier: str = Field(max_length=1000, description="E-mail address or username.")
    password: str = Field(max_length=4096)
    audience: str | None = Field(
        default=None, max_length=128, description="A registered application; else the first."
    )


class UserView(BaseModel):
    """The member that logged in."""

    id: UUID
    email: str
    username: str
    role: str
    status: str
    profile: ProfileView


class NewSessionView(BaseModel):
    """Its session. `token` is Kratos' own, for `X-Session-Token`."""

    id: UUID
    expires_at: datetime
    token: str


class LoggedInView(BaseModel):
    user: UserView
    tokens: TokensView
    session: NewSessionView


@router.post("/login", response_model=LoggedInView)
def log_in(
    wanted: Login,
    asked_for: AskedFor,
    client: CallingClient,
    services: UsesServices,
    key_ring: UsesKeyRing,
) -> Response:
    """Log in by Kratos' native flow, through the guards that everybody passes.

    401 when the credentials are wrong; 403 when they are right and the member may not come in,
    with its `member_status` and what it can do (`next`: action and ticket), or, as
    `session_aal2_required`, when a second factor is due; 429 with `Retry-After`."""
    application = issuing.audience(services.settings, wanted.audience)
    body = {
        "method": "password",
        "identifier": wanted.identifier,
        "password": wanted.password,
    }
    answer = services.edge.native(FlowKind.LOGIN, asked_for, **body)
    if answer.status != HTTPStatus.OK:
        return refused_before(answer) or _refused(services, answer, wanted.identifier)
    return _logged_in(services, key_ring, answer.body, client, application)


def _logged_in(
    services: Services,
    key_ring: KeyRing,
    answer: dict[str, Any],
    client: Client,
    application: str,
) -> Response:
    token = str(answer["session_token"])
    if not answer["session"].get("identity"):
        return _second_factor(token)
    seen = KratosSession.model_validate(answer["session"])
    with services.transaction() as session:
        member = members.get(session, seen.identity.id)
        profile = members.profile(session, seen.identity.id)
    if member is None or profile is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    if isinstance(decide_login(Status(member.status)), Deny):
        return _shut_out(services, member)
    try:
        made = issuing.begin_family(
            services, key_ring.signer(), seen, client, application=application
        )
    except SecondFactorNeededError:
        return _second_factor(token)
    user = UserView(
        id=member.identity_id,
        email=member.email or "",
        username=member.username or "",
        role=member.role,
        status=member.status,
        profile=ProfileView.model_validate(profile),
    )
    return _answer(services, user, made, token)


def _answer(services: Services, user: UserView, made: Tokens, token: str) -> Response:
    held = NewSessionView(id=made.session_id, expires_at=made.session_expires_at, token=token)
    shown = LoggedInView(user=user, tokens=view(services, made), session=held)
    return JSONResponse(shown.model_dump(mode="json"), headers=NO_STORE)


def _second_factor(token: str) -> Response:
    """The session is there, and good for the second factor's flow alone."""
    return problem(
        HTTPStatus.FORBIDDEN,
        SecondFactorNeededError.code,
        _CONFIRM,
        headers=NO_STORE,
        session_token=token,
    )


def _refused(services: Services, answer: FlowAnswer, identifier: str) -> Response:
    found = complaints(answer.body)
    codes = {each.code for each in found}
    if INVALID_CREDENTIALS in codes:
        return problem(HTTPStatus.UNAUTHORIZED, INVALID_CREDENTIALS, _WRONG)
    # Kratos says so itself of an identity that is disabled there; our hook names the state.
    if answer.is_disabled or codes & _STATE_CODES:
        return _shut_out(services, _member_named(services, identifier))
    if not found:
        raise UpstreamUnavailableError("Please try again in a moment.")
    return invalid(found)


def _codes_of_states() -> frozenset[str]:
    decisions = [decide_login(status) for status in Status]
    return frozenset(
        reason.code
        for decision in decisions
        if isinstance(decision, Deny)
        for reason in decision.reasons
    )


_STATE_CODES = _codes_of_states()


def _member_named(services: Services, identifier: str) -> Member:
    """Return whose password was right: Kratos says whom it means by a name, not our copy of it."""
    identity = services.kratos.find(identifier.strip().lower())
    with services.transaction() as session:
        member = None if identity is None else members.get(session, identity.id)
    if member is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    return member


def _shut_out(services: Services, member: Member) -> Response:
    """Say why, and what can be done: the password was right."""
    status, now = Status(member.status), services.now()
    decision = decide_login(status)
    if not isinstance(decision, Deny):
        # It became active, or Kratos has not heard yet.
        raise UpstreamUnavailableError("Please try again in a moment.")
    reason = decision.reasons[0]
    steps = [
        {
            "action": str(step),
            "ticket": tickets.issue(services.settings, member, step, now=now),
        }
        for step in next_steps(status)
        if step is not NextStep.APPEAL or _may_appeal(services, member)
    ]
    return problem(
        HTTPStatus.FORBIDDEN,
        reason.code,
        reason.text,
        headers=NO_STORE,
        member_status=str(status),
        next=steps,
    )


def _may_appeal(services: Services, member: Member) -> bool:
    with services.transaction() as session:
        return appeals.may_appeal(session, member, now=services.now())
