"""`/api/flows/{flow_id}`: how far a registration, login or other workflow got."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from integration import flow_tickets
from integration.api.authentication import has_scope
from integration.db import flows
from integration.db.tables import Flow
from integration.dependencies import UsesServices
from integration.errors import NotFoundError
from integration.services import Services
from policies import progress
from policies.progress import Kind, StepState

router = APIRouter(prefix="/api/flows", tags=["flows"])

_ADMIN_SCOPE = "identities:read"
# Workflows that are a Kratos flow, by Kratos' own words.
_KRATOS_NAMES = {
    Kind.REGISTRATION: ("registration",),
    Kind.LOGIN: ("login",),
    Kind.OAUTH: ("login", "registration"),
}


class StepView(BaseModel):
    """One step, by the specification's name."""

    name: str
    state: str
    at: datetime | None


class FlowErrorView(BaseModel):
    """Why a flow did not get further."""

    step: str
    code: str


class FlowView(BaseModel):
    """How far a flow got."""

    id: UUID
    kind: str
    state: str
    steps: list[StepView]
    error: FlowErrorView | None = None


@router.get("/{flow_id}", response_model_exclude_none=False)
def get_flow(flow_id: UUID, request: Request, services: UsesServices) -> FlowView:
    """Return a flow to whom Kratos would show it: the browser that has its cookie, a native
    client that knows its id, or an admin's key. 404 for everybody else.

    Of a login, `user_lookup` and `password_verification` read as one step except to admins."""
    is_admin = has_scope(request, services, _ADMIN_SCOPE)
    with services.transaction() as session:
        known = flows.get(session, flow_id)
    secret = services.settings.secret.get_secret_value()
    ticket = request.cookies.get(flow_tickets.COOKIE, "")
    if known is not None and (is_admin or flow_tickets.shows(secret, ticket, flow_id)):
        return _recorded(known) if is_admin else _for_others(known)
    kind = _kind_shown_to(services, flow_id, request.headers.get("cookie"), known)
    if kind is None:
        raise NotFoundError("There is no such flow.")
    return _for_others(known) if known is not None else _started(flow_id, kind)


def _kind_shown_to(
    services: Services, flow_id: UUID, cookie: str | None, known: Flow | None
) -> Kind | None:
    kinds = (Kind(known.kind),) if known is not None else (Kind.REGISTRATION, Kind.LOGIN)
    for kind in kinds:
        names = _KRATOS_NAMES.get(kind, ())
        if any(services.kratos.shows_flow(name, flow_id, cookie) for name in names):
            return kind
    return None


def _started(flow_id: UUID, kind: Kind) -> FlowView:
    steps = [StepView(name=s.name, state=s.state, at=s.at) for s in progress.started(kind)]
    return FlowView(id=flow_id, kind=kind, state=StepState.PENDING, steps=steps)


def _recorded(flow: Flow) -> FlowView:
    return FlowView(
        id=flow.flow_id,
        kind=flow.kind,
        state=flow.state,
        steps=[StepView(**item) for item in flow.steps],
        error=FlowErrorView(**flow.error) if flow.error else None,
    )


def _for_others(flow: Flow) -> FlowView:
    """Return a flow without what would tell who has an account."""
    view = _recorded(flow)
    if flow.kind != Kind.LOGIN:
        return view
    steps = progress.without_oracle(flows.steps_of(flow))
    view.steps = [StepView(name=step.name, state=step.state, at=step.at) for step in steps]
    if view.error is not None:
        view.error.step = progress.step_without_oracle(view.error.step)
    return view
