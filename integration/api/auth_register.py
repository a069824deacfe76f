"""`POST /api/auth/register`: the specification's registration in one call."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from integration.api.clients import AskedFor
from integration.api.driven_flows import invalid, refused_before
from integration.db import members
from integration.dependencies import UsesServices
from integration.errors import UpstreamUnavailableError
from integration.ory.flow_messages import complaints
from integration.ory.kratos_flows import FlowKind
from policies.lifecycle import Status

router = APIRouter(prefix="/api/auth", tags=["auth"])

_TRAITS = ("email", "username", "first_name", "last_name", "display_name")


class Registration(BaseModel):
    """Who wants an account. Lengths here only bound the request; the rules are the flow's."""

    email: str = Field(max_length=1000)
    username: str = Field(max_length=1000)
    password: str = Field(max_length=4096)
    first_name: str | None = Field(default=None, max_length=1000)
    last_name: str | None = Field(default=None, max_length=1000)
    display_name: str | None = Field(default=None, max_length=1000)


class NewUserView(BaseModel):
    """An account just made."""

    id: UUID
    email: str
    username: str
    status: str


class RegisteredView(BaseModel):
    """What became of a registration.

    Attributes:
        verification_flow_id: Kratos' flow that takes the code from the mail.
    """

    user: NewUserView
    verification_required: bool
    verification_flow_id: UUID | None = None


@router.post("/register", status_code=HTTPStatus.CREATED, response_model=RegisteredView)
def register(wanted: Registration, asked_for: AskedFor, services: UsesServices) -> Any:
    """Register by Kratos' native flow, through the guards that everybody passes.

    422 with `errors` by field; 429 with `Retry-After`."""
    traits = wanted.model_dump(include=set(_TRAITS), exclude_none=True)
    body = {"method": "password", "password": wanted.password, "traits": traits}
    answer = services.edge.native(FlowKind.REGISTRATION, asked_for, **body)
    if answer.status != HTTPStatus.OK:
        return refused_before(answer) or _refused(answer.body)
    identity_id = UUID(answer.body["identity"]["id"])
    with services.transaction() as session:
        member = members.get(session, identity_id)
    if member is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    return RegisteredView(
        user=NewUserView(
            id=identity_id,
            email=member.email or "",
            username=member.username or "",
            status=member.status,
        ),
        verification_required=member.status != Status.ACTIVE,
        verification_flow_id=_verification_flow(answer.body),
    )


def _refused(flow: dict[str, Any]) -> Response:
    found = complaints(flow)
    if not found:
        raise UpstreamUnavailableError("Please try again in a moment.")
    return invalid(found)


def _verification_flow(answer: dict[str, Any]) -> UUID | None:
    for step in answer.get("continue_with") or ():
        if step.get("action") == "show_verification_ui":
            return UUID(step["flow"]["id"])
    return None
