"""Who is calling: a member with a Kratos session, or a service with an API key."""

from typing import Annotated

from fastapi import Depends, Request

from integration import session_callers
from integration.db import api_keys
from integration.dependencies import UsesServices
from integration.errors import ReauthenticationRequiredError
from integration.services import Services
from integration.session_callers import Caller, SessionCaller
from policies import step_up
from policies.scopes import permits

_KEY_PREFIX = "bearer kleis_"


def authenticate(request: Request, services: UsesServices) -> SessionCaller:
    """Ask Kratos for the session and our own tables for the rest: all must say yes.

    Raises:
        UnauthenticatedError: no valid session.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: the session is good for nothing before a second factor.
    """
    return session_callers.of_session(services, request.headers)


MemberCalling = Annotated[Caller, Depends(authenticate)]


def require_recent(caller: MemberCalling, services: UsesServices) -> Caller:
    """Return the caller when it proved within the last 15 minutes who it is.

    Raises:
        ReauthenticationRequiredError: it did not; as `authenticate`.
    """
    if not step_up.is_recent(caller.authenticated_at, services.now()):
        raise ReauthenticationRequiredError("Please log in again to do this.")
    return caller


def has_scope(request: Request, services: Services, scope: str) -> bool:
    """Tell whether the request carries a working API key with this scope."""
    value = request.headers.get("authorization", "")
    if not value.lower().startswith(_KEY_PREFIX):
        return False
    token = value[len("bearer ") :].strip()
    with services.transaction() as session:
        key = api_keys.find(session, token, now=services.now())
        return key is not None and permits(frozenset(key.scopes), scope)


# What is privileged: password, e-mail address, second factors, deletion, connections.
RecentlyAuthenticated = Annotated[Caller, Depends(require_recent)]
