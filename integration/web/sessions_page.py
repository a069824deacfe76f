"""`/account/sessions`: where the member is logged in, with a button to end each."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from integration.db import member_sessions as session_rows
from integration.db.session_tables import MemberSession
from integration.dependencies import Transaction, UsesServices
from integration.errors import (
    ForbiddenError,
    SecondFactorNeededError,
    UnauthenticatedError,
)
from integration.members import callers, sessions
from integration.members.callers import Caller
from integration.services import Services
from integration.web import form_tokens
from integration.web.page_route import PageRoute
from integration.web.rendering import page, redirect
from policies import user_agents

router = APIRouter(route_class=PageRoute)

_ADDRESS = "/account/sessions"
_METHODS = {
    "password": "password",
    "code": "code by mail",
    "code_recovery": "recovery by mail",
    "link_recovery": "recovery by mail",
    "oidc": "another account",
    "totp": "authenticator app",
    "lookup_secret": "look-up code",
}


@router.get(_ADDRESS)
def show_sessions(request: Request, session: Transaction, services: UsesServices) -> Response:
    caller = _caller(request, services)
    if isinstance(caller, Response):
        return caller
    rows = session_rows.of_member(session, caller.member.identity_id, now=services.now())
    current_first = sorted(rows, key=lambda row: row.session_id != caller.session_id)
    return page(
        "sessions.html",
        title="Where you are logged in",
        sessions=[_shown(row, caller) for row in current_first],
        token=form_tokens.issue(_secret(services), caller.session_id),
    )


@router.post(_ADDRESS)
def end_sessions(
    request: Request,
    session: Transaction,
    services: UsesServices,
    token: Annotated[str, Form()] = "",
    session_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """End one session, or without `session_id` all others; then show what is left."""
    caller = _caller(request, services)
    if isinstance(caller, Response):
        return caller
    is_ours = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not is_ours or not form_tokens.is_good(_secret(services), token, caller.session_id):
        return page(
            "notice.html",
            title="Please try again",
            status=403,
            sentences=("This page was too old, or not opened by you. Nothing was changed.",),
            links=((_ADDRESS, "Show my sessions"),),
        )
    now = services.now()
    if session_id is None:
        sessions.end_others(
            session,
            caller.member.identity_id,
            but=caller.session_id,
            reason="revoked",
            now=now,
        )
    else:
        known = session_rows.get(session, session_id)
        if known is not None and known.identity_id == caller.member.identity_id:
            sessions.end(session, known.identity_id, session_id, reason="revoked", now=now)
    return redirect(_ADDRESS)


def _caller(request: Request, services: Services) -> Caller | Response:
    """Return who looks, or where to send the browser first."""
    back = {"return_to": f"{str(services.settings.public_url).rstrip('/')}{_ADDRESS}"}
    try:
        return callers.of_session(services, request.headers)
    except UnauthenticatedError:
        return redirect(f"/login?{urlencode(back)}")
    except SecondFactorNeededError:
        return redirect(f"/login?{urlencode({'aal': 'aal2', **back})}")
    except ForbiddenError as error:
        return page(
            "notice.html",
            title="Your account cannot be used now",
            status=403,
            sentences=(error.message,),
            links=(("/", "Start page"),),
        )


def _shown(row: MemberSession, caller: Caller) -> dict[str, object]:
    device = user_agents.describe(row.user_agent)
    return {
        "id": row.session_id,
        "device": device[:1].upper() + device[1:],
        "is_current": row.session_id == caller.session_id,
        "place": ", ".join(part for part in (row.country, row.address) if part) or "unknown",
        "methods": " and ".join(dict.fromkeys(_METHODS.get(name, name) for name in row.methods)),
        "started": _moment(row.started_at),
        "last": _moment(row.last_activity_at),
        "ends": _moment(row.expires_at),
        "needs_second_factor": row.hold is not None,
    }


def _moment(at: datetime) -> str:
    return f"{at:%d %B %Y, %H:%M} UTC"


def _secret(services: Services) -> str:
    return services.settings.secret.get_secret_value()
