"""The pages of Kratos' five flows. Their forms go to Kratos directly, through the edge."""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response

from integration.dependencies import UsesServices
from integration.errors import KleisError, SecondFactorNeededError, UnauthenticatedError
from integration.members import callers, sessions
from integration.ory.kratos_flows import Flow, FlowKind, Refusal, Ui
from integration.services import Services
from integration.web import addresses, headings
from integration.web.nodes import arrange
from integration.web.page_route import PageRoute
from integration.web.rendering import ANYWHERE, origin_of, page, redirect
from policies import passwords
from policies.step_up import AAL2, groups_offered

router = APIRouter(route_class=PageRoute)

_MARKER = "kleis_started"
_MARKER_SECONDS = 60
_CONFIRMED_BEFORE_ID = 4070002
_NOT_VERIFIED_ID = 4000010
_NOT_VERIFIED_CODE = "email_not_verified"


@router.get("/login")
def login(request: Request, services: UsesServices) -> Response:
    return _show(FlowKind.LOGIN, request, services)


@router.get("/registration")
def registration(request: Request, services: UsesServices) -> Response:
    return _show(FlowKind.REGISTRATION, request, services)


@router.get("/verification")
def verification(request: Request, services: UsesServices) -> Response:
    """The mail's link ends here. Looking changes nothing: only the button confirms."""
    return _show(FlowKind.VERIFICATION, request, services)


@router.get("/recovery")
def recovery(request: Request, services: UsesServices) -> Response:
    return _show(FlowKind.RECOVERY, request, services)


def _show(kind: FlowKind, request: Request, services: Services) -> Response:
    flow = find(kind, request, services)
    if isinstance(flow, Response):
        return flow
    if flow.state == "passed_challenge" or _was_confirmed_before(flow):
        return _done(kind, flow)
    return _form(kind, flow, services, code=addresses.code(request.query_params.get("code", "")))


def find(
    kind: FlowKind, request: Request, services: Services, *, at: str | None = None
) -> Flow | Response:
    """Return the flow that a page's address names, or where the browser goes instead.

    Args:
        at: The page's own path, where it is not the flow's usual one.
    """
    public_url = str(services.settings.public_url)
    query = request.query_params
    flow_id = addresses.flow_id(query.get("flow", ""))
    if flow_id is None:
        if "again" in query and _MARKER not in request.cookies:
            return _no_cookies(kind)
        return redirect(addresses.start_url(public_url, kind, query))
    flow = services.flows.get_flow(kind, flow_id, request.headers.get("cookie", ""))
    if kind is FlowKind.SETTINGS:
        # A flow that was begun before: a new one the edge would not have started.
        flow = _against_session(request, services) or flow
    if isinstance(flow, Refusal):
        return _turn_away(kind, flow, request, public_url, at or addresses.PAGE_OF[kind])
    return flow


def _against_session(request: Request, services: Services) -> Refusal | None:
    """Return what our tables have against a session that Kratos may call valid."""
    try:
        callers.of_session(services, request.headers)
    except SecondFactorNeededError:
        return Refusal.NEEDS_SECOND_FACTOR
    except UnauthenticatedError as error:
        # It ended with us, and at Kratos a moment later. Of none at all Kratos' flow speaks.
        return Refusal.NEEDS_LOGIN if error.detail == sessions.ENDED else None
    except KleisError:
        # What there is to say about others, Kratos' flow says; its submits are guarded anyway.
        return None
    return None


def _turn_away(
    kind: FlowKind, why: Refusal, request: Request, public_url: str, at: str
) -> Response:
    here = public_url.rstrip("/") + at
    if why is Refusal.NEEDS_LOGIN:
        return redirect(addresses.start_url(public_url, FlowKind.LOGIN, {"return_to": here}))
    if why is Refusal.NEEDS_SECOND_FACTOR:
        query = {"return_to": here, "aal": "aal2"}
        return redirect(addresses.start_url(public_url, FlowKind.LOGIN, query))
    if why is Refusal.GONE:
        return redirect(
            at if kind is FlowKind.SETTINGS else addresses.start_url(public_url, kind, {})
        )
    if _MARKER in request.cookies:
        return _no_cookies(kind)
    return _start_again(at, is_https=public_url.startswith("https:"))


def _start_again(at: str, *, is_https: bool) -> Response:
    """Start a new flow, but notice when the browser keeps no cookies: else this never ends."""
    response = redirect(f"{at}?again=1")
    response.set_cookie(
        _MARKER, "1", max_age=_MARKER_SECONDS, httponly=True, samesite="lax", secure=is_https
    )
    return response


def _no_cookies(kind: FlowKind) -> Response:
    response = page(
        "notice.html",
        title="Cookies are needed",
        status=400,
        sentences=(
            "Your browser did not keep our cookie, so we cannot tell that this page is yours.",
            "Please allow cookies for this site, then try again.",
        ),
        links=((addresses.PAGE_OF[kind], "Try again"), ("/", "Start page")),
    )
    response.delete_cookie(_MARKER)
    return response


def _done(kind: FlowKind, flow: Flow) -> Response:
    if kind is FlowKind.RECOVERY:
        return redirect(addresses.PAGE_OF[FlowKind.SETTINGS])
    log_in = addresses.with_return_to("/login", flow.return_to or "")
    return page(
        "notice.html",
        title="Your address is confirmed",
        is_private=True,
        sentences=("Thank you. You can log in now.",),
        links=((log_in, "Log in"),),
    )


def _form(kind: FlowKind, flow: Flow, services: Services, *, code: str) -> Response:
    fills_in = bool(code) and kind is FlowKind.VERIFICATION
    heading = headings.of(kind, flow, has_code=fills_in)
    view = arrange(
        _shown(flow),
        prefill={"code": code} if fills_in else {},
        submit_label=heading.submit,
        labels=heading.labels,
        hints={"new-password": passwords.hint(services.settings.password_profile)},
    )
    if fills_in and flow.state == "sent_email":
        # Kratos still says that a mail was sent; who came by its link knows.
        view = replace(view, notices=())
    return page(
        "flow.html",
        title=heading.title,
        form_targets=form_targets(flow, str(services.settings.public_url)),
        is_private=kind in {FlowKind.VERIFICATION, FlowKind.RECOVERY},
        lead=heading.lead,
        links=headings.links(kind, flow),
        view=view,
        has_titles=False,
        asks_for_code=_asks_for_code(flow),
        events=(),
    )


def _shown(flow: Flow) -> Ui:
    """Return the form without the mailed code where the edge would not take it."""
    if flow.requested_aal != AAL2:
        return flow.ui
    nodes = flow.ui.nodes or []
    offered = groups_offered(node.group for node in nodes)
    return flow.ui.model_copy(update={"nodes": [node for node in nodes if node.group in offered]})


def form_targets(flow: Flow, public_url: str) -> tuple[str, ...] | None:
    """Return where the forms of a flow may end, as `rendering.policy` takes it."""
    if any(node.group == "oidc" for node in flow.ui.nodes or ()):
        return ANYWHERE
    targets = [origin_of(public_url)]
    return_to = addresses.safe_return_to(flow.return_to or "")
    if return_to and not return_to.startswith("/"):
        targets.append(origin_of(return_to))
    return tuple(targets)


def _was_confirmed_before(flow: Flow) -> bool:
    """Tell whether Kratos answers somebody who followed the link, or pressed the button, twice.

    It does so with a new flow, which asks for an address and would only send another code.
    """
    return any(message.id == _CONFIRMED_BEFORE_ID for message in flow.ui.messages or ())


def _asks_for_code(flow: Flow) -> bool:
    """Tell whether a login failed only because the address is not confirmed."""
    return any(
        message.id == _NOT_VERIFIED_ID or message.code == _NOT_VERIFIED_CODE
        for message in flow.ui.messages or ()
    )
