"""The start page, logout, and the page Kratos sends people to when a flow breaks."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from integration.db import members
from integration.dependencies import UsesServices
from integration.services import Services
from integration.web import addresses, mishaps
from integration.web.page_route import PageRoute
from integration.web.rendering import page, redirect, stylesheet

router = APIRouter(route_class=PageRoute)

_DAY_SECONDS = 86_400


@router.get("/")
def start(request: Request, services: UsesServices) -> Response:
    """Tell a person who they are here, and what they can do."""
    username, status = _who(request, services)
    return page(
        "start.html",
        title="Welcome" if username is None else f"Hello, {username}",
        username=username,
        member_status=status,
        embedded=services.settings.embedded,
    )


@router.get("/logout")
def logout(request: Request, services: UsesServices) -> Response:
    """End the session of this browser. A link on another site does not end it."""
    token = None
    if request.headers.get("sec-fetch-site") != "cross-site":
        token = services.flows.logout_token(request.headers.get("cookie", ""))
    if token is None:
        return redirect("/")
    public_url = str(services.settings.public_url).rstrip("/")
    return redirect(f"{public_url}/self-service/logout?{urlencode({'token': token})}")


@router.get("/error")
def error(request: Request, services: UsesServices) -> Response:
    """Say in plain words what broke. Kratos' own words may name private addresses."""
    error_id = addresses.flow_id(request.query_params.get("id", ""))
    known = services.flows.get_error(error_id) if error_id else None
    mishap = mishaps.of(known)
    return page("notice.html", title=mishap.title, sentences=(mishap.sentence,), links=mishap.links)


@router.get("/static/kleis.css")
def styles() -> Response:
    sheet = stylesheet()
    headers = {
        "Cache-Control": f"public, max-age={_DAY_SECONDS}",
        "ETag": f'"{sheet.version}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(sheet.body, media_type="text/css", headers=headers)


def _who(request: Request, services: Services) -> tuple[str | None, str]:
    """Return the username of the browser's session and the member's status, by our own row."""
    cookie = request.headers.get("cookie", "")
    kratos_session = services.session_check.whoami({"Cookie": cookie}) if cookie else None
    if kratos_session is None:
        return None, ""
    with services.transaction() as session:
        member = members.get(session, kratos_session.identity.id)
        if member is not None:
            return member.username, str(member.status)
    return str(kratos_session.identity.traits.get("username", "")), "pending_registration"
