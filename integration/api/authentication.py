"""Who is calling: a member with a session or an access token, or a service with an API key."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from integration.db import api_keys, callers
from integration.db.session_tables import MemberSession
from integration.db.tables import Member, Profile
from integration.dependencies import UsesKeyRing, UsesServices
from integration.errors import (
    ForbiddenError,
    SecondFactorNeededError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from integration.ory.kratos import KratosSession
from integration.services import Services
from integration.tokens import access
from integration.tokens.access import Claims, InvalidTokenError
from integration.tokens.key_ring import KeyRing
from policies.access_claims import is_outdated
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login
from policies.scopes import permits

_CREDENTIALS = ("cookie", "x-session-token", "authorization")
_BEARER = "bearer "
_KEY_PREFIX = "bearer kleis_"


@dataclass(frozen=True, slots=True)
class Caller:
    """A member whose session is valid and whose state lets it in.

    Attributes:
        aal: How its session was authenticated: `aal1` or `aal2`.
    """

    member: Member
    profile: Profile
    session_id: UUID
    aal: str


@dataclass(frozen=True, slots=True)
class SessionCaller(Caller):
    """A member that came with its Kratos session itself."""

    kratos_session: KratosSession


def credentials(request: Request) -> dict[str, str]:
    """Return the headers by which Kratos recognises a session."""
    return {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}


def authenticate(request: Request, services: UsesServices, key_ring: UsesKeyRing) -> Caller:
    """Take an access token where one was sent, else a Kratos session.

    Raises:
        UnauthenticatedError: no valid session.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: the session waits for one.
    """
    token = _access_token(request)
    if token is None:
        return authenticate_session(request, services)
    return _by_access_token(services, key_ring, token)


def authenticate_session(request: Request, services: UsesServices) -> SessionCaller:
    """Ask Kratos for the session and our own tables for the state: all must say yes.

    Raises:
        UnauthenticatedError, ForbiddenError, SecondFactorNeededError: as `authenticate`.
    """
    seen = kratos_session(request, services)
    with services.transaction() as session:
        return admit(session, seen)


def kratos_session(request: Request, services: UsesServices) -> KratosSession:
    """Return the session that Kratos knows; `admit` says whether it still means something.

    An access token is none: it gives no further tokens.

    Raises:
        UnauthenticatedError: there is none.
    """
    given = credentials(request)
    seen = services.kratos.whoami(given) if given else None
    if seen is None:
        raise UnauthenticatedError("Please log in.")
    return seen


def admit(session: Session, seen: KratosSession) -> SessionCaller:
    """Let somebody in whose session Kratos just called valid.

    Raises:
        UnauthenticatedError, ForbiddenError, SecondFactorNeededError: as `authenticate`.
    """
    member, profile, row = callers.look_up(session, seen.identity.id, seen.id)
    if row is not None and row.ended_at is not None:
        raise UnauthenticatedError("Please log in.", detail="session ended")
    member, profile = _let_in(member, profile, row)
    return SessionCaller(
        member=member,
        profile=profile,
        session_id=seen.id,
        aal=seen.authenticator_assurance_level,
        kratos_session=seen,
    )


def _by_access_token(services: Services, key_ring: KeyRing, token: str) -> Caller:
    """The signature says who it was; our tables say whether that still means something."""
    try:
        claims = key_ring.verify(token)
    except InvalidTokenError as error:
        raise UnauthenticatedError("Please log in.", detail=str(error)) from error
    with services.transaction() as session:
        found = callers.look_up(session, claims.identity_id, claims.session_id)
    member, profile, row = found
    if (
        row is None
        or row.identity_id != claims.identity_id
        or row.ended_at is not None
        or row.expires_at <= services.now()
    ):
        raise UnauthenticatedError("Please log in.", detail="session ended")
    member, profile = _let_in(member, profile, row)
    if _is_outdated(claims, member):
        raise UnauthenticatedError("Please refresh your token.", detail="role changed since")
    return Caller(member=member, profile=profile, session_id=row.session_id, aal=row.aal)


def _let_in(
    member: Member | None, profile: Profile | None, row: MemberSession | None
) -> tuple[Member, Profile]:
    decision = decide_login(None if member is None else Status(member.status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        raise ForbiddenError(reason.text, detail=reason.code)
    if member is None or profile is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    if row is not None and row.hold is not None:
        raise SecondFactorNeededError("Please confirm that it is you.", detail=row.hold)
    return member, profile


def _is_outdated(claims: Claims, member: Member) -> bool:
    return is_outdated(
        roles=claims.roles,
        issued_at=claims.issued_at,
        role=member.role,
        role_changed_at=member.role_changed_at,
    )


def _access_token(request: Request) -> str | None:
    value = request.headers.get("authorization", "")
    token = value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""
    return token if access.is_access_token(token) else None


def has_scope(request: Request, services: Services, scope: str) -> bool:
    """Tell whether the request carries a working API key with this scope."""
    value = request.headers.get("authorization", "")
    if not value.lower().startswith(_KEY_PREFIX):
        return False
    token = value[len(_BEARER) :].strip()
    with services.transaction() as session:
        key = api_keys.find(session, token, now=services.now())
        return key is not None and permits(frozenset(key.scopes), scope)


MemberCalling = Annotated[Caller, Depends(authenticate)]
KratosSessionCalling = Annotated[KratosSession, Depends(kratos_session)]
