"""Who is calling: a member with a session or an access token, or a service with an API key."""

from typing import Annotated

from fastapi import Depends, Request

from integration.db import api_keys
from integration.db import callers as caller_rows
from integration.dependencies import UsesKeyRing, UsesServices
from integration.errors import (
    ForbiddenError,
    ReauthenticationRequiredError,
    UnauthenticatedError,
)
from integration.members import callers, sessions
from integration.members.callers import Caller, SessionCaller
from integration.services import Services
from integration.tokens import access
from integration.tokens.access import InvalidTokenError
from integration.tokens.key_ring import KeyRing
from policies import step_up
from policies.access_claims import is_outdated
from policies.scopes import permits

_BEARER = "bearer "
_KEY_PREFIX = "bearer kleis_"
_COOKIE = "ory_kratos_session="


def authenticate(request: Request, services: UsesServices, key_ring: UsesKeyRing) -> Caller:
    """Take an access token where one was sent, else a Kratos session.

    Raises:
        UnauthenticatedError: no valid session.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: the session is good for nothing before a second factor.
    """
    token = access_token_of(request)
    if token is None:
        return authenticate_session(request, services)
    return _by_access_token(services, key_ring, token)


def authenticate_session(request: Request, services: UsesServices) -> SessionCaller:
    """Ask Kratos for the session and our own tables for the rest: all must say yes.

    Raises:
        UnauthenticatedError, ForbiddenError, SecondFactorNeededError: as `authenticate`.
        ForbiddenError: `session_required`, as `session_headers`.
    """
    return callers.of_session(services, session_headers(request))


MemberCalling = Annotated[Caller, Depends(authenticate)]
# For what Kratos does with the session itself.
SessionCalling = Annotated[SessionCaller, Depends(authenticate_session)]


def require_recent(caller: MemberCalling, services: UsesServices) -> Caller:
    """Return the caller when it proved within the last 15 minutes who it is.


    Raises:
        ReauthenticationRequiredError: it did not; as `authenticate`.
    """
    if not step_up.is_recent(caller.authenticated_at, services.now()):
        raise ReauthenticationRequiredError("Please log in again to do this.")
    return caller


# What is privileged: password, e-mail address, second factors, deletion, connections.
RecentlyAuthenticated = Annotated[Caller, Depends(require_recent)]


def has_scope(request: Request, services: Services, scope: str) -> bool:
    """Tell whether the request carries a working API key with this scope."""
    value = request.headers.get("authorization", "")
    if not value.lower().startswith(_KEY_PREFIX):
        return False
    token = value[len("bearer ") :].strip()
    with services.transaction() as session:
        key = api_keys.find(session, token, now=services.now())
        return key is not None and permits(frozenset(key.scopes), scope)


def _by_access_token(services: Services, key_ring: KeyRing, token: str) -> Caller:
    """The signature says who it was; our tables say whether that still means something."""
    try:
        claims = key_ring.verify(token)
    except InvalidTokenError as error:
        raise UnauthenticatedError("Please log in.", detail=str(error)) from error
    with services.transaction() as session:
        found = caller_rows.look_up(session, claims.identity_id, claims.session_id)
    member, profile, row = found
    if (
        row is None
        or row.identity_id != claims.identity_id
        or row.ended_at is not None
        or row.expires_at <= services.now()
    ):
        raise UnauthenticatedError("Please log in.", detail="session_ended")
    member, profile = callers.let_in(services, member, profile, row, aal=row.aal)
    if is_outdated(
        roles=claims.roles,
        issued_at=claims.issued_at,
        role=member.role,
        role_changed_at=member.role_changed_at,
    ):
        raise UnauthenticatedError("Please refresh your token.", detail="role changed since")
    sessions.note_use(services, row)
    return Caller(
        member=member,
        profile=profile,
        session_id=row.session_id,
        aal=row.aal,
        authenticated_at=row.authenticated_at,
    )


def session_headers(request: Request) -> dict[str, str]:
    """Return a request's headers for where a session itself is needed: without an access token.

    Raises:
        ForbiddenError: `session_required`: there is an access token and nothing else.
    """
    headers = {name: request.headers[name] for name in request.headers}
    if access_token_of(request) is None:
        return headers
    del headers["authorization"]
    if "x-session-token" not in headers and _COOKIE not in headers.get("cookie", ""):
        raise ForbiddenError(
            "Please come with your session: an access token is not enough for this.",
            problem="session_required",
        )
    return headers


def access_token_of(request: Request) -> str | None:
    """Return the bearer token of a request when it looks like one of our access tokens."""
    value = request.headers.get("authorization", "")
    token = value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""
    return token if access.is_access_token(token) else None
