"""The pages of an account: the profile at `/account/settings`, credentials at `/account/security`.

Kratos knows one flow for both and sends its forms back to one address. A cookie tells which of the
pages a browser is on; whatever is to be said about a credential is said on the second.
"""

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response

from integration.db import members
from integration.dependencies import UsesServices
from integration.ory.kratos_flows import Flow, FlowKind
from integration.services import Services
from integration.web import addresses, headings, recent_events
from integration.web.flow_pages import find, form_targets
from integration.web.nodes import arrange
from integration.web.page_route import PageRoute
from integration.web.rendering import page, redirect
from policies import passwords, step_up

router = APIRouter(route_class=PageRoute)

SETTINGS = addresses.PAGE_OF[FlowKind.SETTINGS]
SECURITY = "/account/security"
_CREDENTIALS = frozenset({"password", "totp", "lookup_secret"})
# The flows that are shown on the security page, or that the next one shall be. After a change
# Kratos shows one flow whose forms go to another.
_PLACE = "kleis_place"
_NEXT = "next"
_PLACE_SECONDS = 3600
_RECOVERED_ID = 1060001


@router.get("/account/settings")
def settings(request: Request, services: UsesServices) -> Response:
    """Show profile and address. What belongs to the other page is led there."""
    flow = find(FlowKind.SETTINGS, request, services)
    if isinstance(flow, Response):
        if "flow" not in request.query_params:
            flow.delete_cookie(_PLACE, path="/account")
        return flow
    places = request.cookies.get(_PLACE, "").split(".")
    if _NEXT in places or flow.id in places or _is_about_credentials(flow):
        response = redirect(f"{SECURITY}?flow={flow.id}")
        _remember(response, flow.id, services)
        return response
    return _form(flow, services, is_security=False, events=())


@router.get("/account/security")
def security(request: Request, services: UsesServices) -> Response:
    """Show password, second factors, and what happened lately."""
    flow = find(FlowKind.SETTINGS, request, services, at=SECURITY)
    if isinstance(flow, Flow):
        events = recent_events.of(request, services)
        response = _form(flow, services, is_security=True, events=events)
        following = httpx.URL(flow.ui.action).params.get("flow", flow.id)
        _remember(response, f"{flow.id}.{following}", services)
        return response
    if "flow" not in request.query_params:
        _remember(flow, _NEXT, services)
    return flow


@router.get("/account/password-changed")
def password_changed() -> Response:
    """Where a form that changed the password leads: its session is over by now."""
    return page(
        "notice.html",
        title="Your password is changed",
        sentences=(
            "You are logged out everywhere, here too. Log in with the new password.",
            "We sent you a mail about it.",
        ),
        links=(("/login", "Log in"),),
    )


def _remember(response: Response, place: str, services: Services) -> None:
    is_https = services.settings.public_url.scheme == "https"
    response.set_cookie(
        _PLACE,
        place,
        max_age=_PLACE_SECONDS,
        path="/account",
        httponly=True,
        samesite="lax",
        secure=is_https,
    )


def _form(
    flow: Flow,
    services: Services,
    *,
    is_security: bool,
    events: tuple[recent_events.RecentEvent, ...],
) -> Response:
    heading = headings.SECURITY if is_security else headings.of(FlowKind.SETTINGS, flow)
    nodes = flow.ui.nodes or []
    ours = [node for node in nodes if node.group not in _CREDENTIALS or is_security]
    if is_security:
        ours = [node for node in ours if node.group in _CREDENTIALS | {"default"}]
    view = arrange(
        flow.ui.model_copy(update={"nodes": ours}),
        labels=heading.labels,
        hints={"new-password": passwords.hint(services.settings.password_profile)},
        first=_first(flow),
    )
    return page(
        "flow.html",
        title=heading.title,
        form_targets=form_targets(flow, str(services.settings.public_url)),
        lead=(is_security and _lead(flow, services)) or heading.lead,
        links=headings.account_links(is_security=is_security),
        view=view,
        has_titles=True,
        asks_for_code=False,
        events=events,
    )


def _lead(flow: Flow, services: Services) -> str:
    """Return what a member is asked to do on the page about security, or nothing."""
    if flow.identity is None:
        return ""
    with services.transaction() as session:
        member = members.get(session, flow.identity.id)
    roles = services.settings.second_factor_roles
    if member is None or not step_up.asks_to_enrol(
        member.role, roles, has_second_factor=member.second_factor
    ):
        return ""
    return headings.ENROL


def _is_about_credentials(flow: Flow) -> bool:
    """Tell whether a flow has something to say about a password or a second factor."""
    return _first(flow) is not None or any(
        node.messages for node in flow.ui.nodes or () if node.group in _CREDENTIALS
    )


def _first(flow: Flow) -> str | None:
    """Return the section that a person came for, where it is sure."""
    if any(message.id == _RECOVERED_ID for message in flow.ui.messages or ()):
        return "password"
    nodes = flow.ui.nodes or ()
    if any(node.group == "lookup_secret" and node.type == "text" for node in nodes):
        return "lookup_secret"
    return None
