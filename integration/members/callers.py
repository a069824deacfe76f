"""Which member a Kratos session belongs to, and whether the session is good with us too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import callers
from integration.db.session_tables import MemberSession
from integration.db.tables import Member, Profile
from integration.errors import ForbiddenError, UnauthenticatedError, UpstreamUnavailableError
from integration.members import sessions
from integration.ory.kratos_models import KratosSession
from integration.services import Services
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login

_CREDENTIALS = ("cookie", "x-session-token", "authorization")
# The edge alone reaches this process, and says who asks.
_CLIENT = "true-client-ip"
_LONGEST_USER_AGENT = 256


@dataclass(frozen=True, slots=True)
class Caller:
    """A member whose session is valid and whose state lets it in.

    Attributes:
        aal: How its session was authenticated: `aal1` or `aal2`.
        authenticated_at: When the member last proved who it is; None: nobody knows.
    """

    member: Member
    profile: Profile
    session_id: UUID
    aal: str
    authenticated_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionCaller(Caller):
    """A member that came with its Kratos session itself."""

    kratos_session: KratosSession


def credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those headers by which Kratos recognises a session."""
    return {name: headers[name] for name in _CREDENTIALS if name in headers}


def of_session(services: Services, headers: Mapping[str, str]) -> SessionCaller:
    """Ask Kratos for the session and our own tables for the rest: all must say yes.

    Args:
        headers: Of the request, names in lower case.

    Raises:
        UnauthenticatedError: no valid session.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: the session is good for nothing before a second factor.
    """
    seen = kratos_session(services, headers)
    with services.transaction() as session:
        caller, known = admit(session, services, seen, headers)
    sessions.note_use(services, known)
    return caller


def kratos_session(services: Services, headers: Mapping[str, str]) -> KratosSession:
    """Return the session that Kratos calls valid.

    Raises:
        UnauthenticatedError: there is none.
    """
    given = credentials(headers)
    seen = services.session_check.whoami(given) if given else None
    if seen is None:
        raise UnauthenticatedError("Please log in.")
    return seen


def admit(
    session: Session, services: Services, seen: KratosSession, headers: Mapping[str, str]
) -> tuple[SessionCaller, MemberSession]:
    """Let somebody in whose session Kratos just called valid, in the caller's transaction.

    Raises as `of_session`.
    """
    member, profile, known = callers.look_up(session, seen.identity.id, seen.id)
    if known is None:
        known = sessions.see(
            session,
            seen,
            address=headers.get(_CLIENT, ""),
            user_agent=headers.get("user-agent", "")[:_LONGEST_USER_AGENT],
            now=services.now(),
        )
    aal = seen.authenticator_assurance_level
    member, profile = let_in(services, member, profile, known, aal=aal)
    caller = SessionCaller(
        member=member,
        profile=profile,
        session_id=seen.id,
        aal=aal,
        authenticated_at=seen.authenticated_at,
        kratos_session=seen,
    )
    return caller, known


def let_in(
    services: Services,
    member: Member | None,
    profile: Profile | None,
    known: MemberSession,
    *,
    aal: str,
) -> tuple[Member, Profile]:
    """Return who may come in with this session. Raises as `of_session`."""
    decision = decide_login(None if member is None else Status(member.status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        raise ForbiddenError(reason.text, detail=reason.code)
    if member is None or profile is None:
        raise UpstreamUnavailableError("Your account is still being set up.")
    sessions.require_good(
        known,
        member,
        aal=aal,
        roles=services.settings.second_factor_roles,
        max_age=services.settings.session_max_age,
        idle_timeout=services.settings.idle_after,
        now=services.now(),
    )
    return member, profile
