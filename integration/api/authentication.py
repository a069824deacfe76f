"""Who is calling: a member with a Kratos session, or a service with an API key."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from integration import member_sessions
from integration.db import api_keys, members
from integration.db.tables import Member, Profile
from integration.dependencies import UsesServices
from integration.errors import (
    ForbiddenError,
    ReauthenticationRequiredError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from integration.ory.kratos import KratosSession
from integration.services import Services
from policies import step_up
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login
from policies.scopes import permits

_CREDENTIALS = ("cookie", "x-session-token", "authorization")
# The edge alone reaches this process, and says who asks.
_CLIENT = "true-client-ip"
_LONGEST_USER_AGENT = 256
_KEY_PREFIX = "bearer kleis_"


@dataclass(frozen=True, slots=True)
class Caller:
    """A member whose session is valid and whose state lets it in."""

    member: Member
    profile: Profile
    kratos_session: KratosSession


def credentials(request: Request) -> dict[str, str]:
    """Return the headers by which Kratos recognises a session."""
    return {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}


def authenticate(request: Request, services: UsesServices) -> Caller:
    """Ask Kratos for the session and our own table for the state: both must say yes.

    Raises:
        UnauthenticatedError: no valid session.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: the session is good for nothing before a second factor.
    """
    given = credentials(request)
    kratos_session = services.kratos.whoami(given) if given else None
    if kratos_session is None:
        raise UnauthenticatedError("Please log in.")
    identity_id = kratos_session.identity.id
    with services.transaction() as session:
        member = members.get(session, identity_id)
        profile = members.profile(session, identity_id)
        known = member_sessions.see(
            session,
            kratos_session,
            address=request.headers.get(_CLIENT, ""),
            user_agent=request.headers.get("user-agent", "")[:_LONGEST_USER_AGENT],
            now=services.now(),
        )
    decision = decide_login(None if member is None else Status(member.status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        raise ForbiddenError(reason.text, detail=reason.code)
    if member is None or profile is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    member_sessions.require_good(
        known,
        member,
        aal=kratos_session.authenticator_assurance_level,
        roles=services.settings.second_factor_roles,
        max_age=services.settings.session_max_age,
        idle_timeout=services.settings.idle_after,
        now=services.now(),
    )
    member_sessions.note_use(services, known)
    return Caller(member, profile, kratos_session)


MemberCalling = Annotated[Caller, Depends(authenticate)]


def require_recent(caller: MemberCalling, services: UsesServices) -> Caller:
    """Return the caller when it proved within the last 15 minutes who it is.

    Raises:
        ReauthenticationRequiredError: it did not; as `authenticate`.
    """
    if not step_up.is_recent(caller.kratos_session.authenticated_at, services.now()):
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
