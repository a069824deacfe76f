"""Who is calling: a member with a Kratos session, or a service with an API key."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from integration.db import api_keys, members
from integration.db.tables import Member, Profile
from integration.dependencies import UsesServices
from integration.errors import ForbiddenError, UnauthenticatedError, UpstreamUnavailableError
from integration.ory.kratos_models import KratosSession
from integration.services import Services
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login
from policies.scopes import permits

_CREDENTIALS = ("cookie", "x-session-token", "authorization")
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
    """
    given = credentials(request)
    kratos_session = services.kratos.whoami(given) if given else None
    if kratos_session is None:
        raise UnauthenticatedError("Please log in.")
    identity_id = kratos_session.identity.id
    with services.transaction() as session:
        member = members.get(session, identity_id)
        profile = members.profile(session, identity_id)
    decision = decide_login(None if member is None else Status(member.status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        raise ForbiddenError(reason.text, detail=reason.code)
    if member is None or profile is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    return Caller(member, profile, kratos_session)


def has_scope(request: Request, services: Services, scope: str) -> bool:
    """Tell whether the request carries a working API key with this scope."""
    value = request.headers.get("authorization", "")
    if not value.lower().startswith(_KEY_PREFIX):
        return False
    token = value[len("bearer ") :].strip()
    with services.transaction() as session:
        key = api_keys.find(session, token, now=services.now())
        return key is not None and permits(frozenset(key.scopes), scope)


MemberCalling = Annotated[Caller, Depends(authenticate)]
