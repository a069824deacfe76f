"""Sessions of members: seen, judged, ended. Belongs to the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import member_sessions, members
from integration.db.session_tables import MemberSession
from integration.db.tables import Member
from integration.errors import SecondFactorNeededError, UnauthenticatedError
from integration.ory.kratos_models import KratosSession
from integration.services import Services
from policies import sessions, step_up
from policies.decisions import EndSession, EndSessions
from policies.step_up import Standing

ENDED = "session_ended"
"""Detail of the refusal of a session that ended with us, whatever Kratos still says."""


def see(
    session: Session,
    seen: KratosSession,
    *,
    address: str = "",
    user_agent: str = "",
    now: datetime,
) -> MemberSession:
    """Return our row of a session that Kratos just called valid, adding it at first sight."""
    known = member_sessions.get(session, seen.id)
    if known is not None:
        return known
    authenticated_at = seen.authenticated_at or now
    member = members.get(session, seen.identity.id)
    is_recovered = member is not None and member.recovered_at is not None
    hold = step_up.hold_after_recovery(seen.methods) if is_recovered else None
    new = MemberSession(
        session_id=seen.id,
        identity_id=seen.identity.id,
        started_at=authenticated_at,
        authenticated_at=authenticated_at,
        expires_at=seen.expires_at or now,
        methods=seen.methods,
        aal=seen.authenticator_assurance_level,
        address=address,
        user_agent=user_agent,
        last_activity_at=now,
        hold=hold,
        hold_since=None if hold is None else now,
    )
    return member_sessions.add(session, new)


def require_good(
    known: MemberSession,
    member: Member,
    *,
    aal: str,
    roles: Iterable[str],
    max_age: timedelta,
    idle_timeout: timedelta | None,
    now: datetime,
) -> None:
    """Return when a session that Kratos calls valid is good with us too.

    Args:
        aal: Kratos' word on the session now.
        roles: Whose members need a second factor.

    Raises:
        UnauthenticatedError: it ended here, by a person, by age or for want of use.
        SecondFactorNeededError: it is held, or the member, its role or its own second factor
            asks for one.
    """
    has_ended = known.ended_at is not None and known.end_reason != "expired"
    is_old = known.started_at + max_age <= now
    if has_ended or is_old or sessions.is_idle(known.last_activity_at, now, idle_timeout):
        raise UnauthenticatedError("Please log in.", detail=ENDED)
    standing = Standing(
        aal=aal,
        hold=known.hold,
        has_second_factor=member.second_factor,
        requires_second_factor=member.requires_second_factor,
        role=member.role,
    )
    if step_up.needs_second_factor(standing, roles):
        raise SecondFactorNeededError("Please give a second factor first.")


def note_use(services: Services, known: MemberSession) -> None:
    """Write down that a session is used, once a minute at most (`KLEIS_SESSION_ACTIVITY_PERIOD`).

    In a transaction of its own, after the session was found good.
    """
    now = services.now()
    if now - known.last_activity_at < services.settings.session_activity_period:
        return
    with services.transaction() as session:
        member_sessions.used(session, known.session_id, now=now)


def end(
    session: Session, identity_id: UUID, session_id: UUID, *, reason: str, now: datetime
) -> bool:
    """End one session here, and at Kratos soon and surely; False when it had ended."""
    if not member_sessions.end(session, session_id, reason=reason, now=now):
        return False
    effects.record(session, identity_id, (EndSession(str(session_id)),), now=now)
    return True


def end_others(
    session: Session, identity_id: UUID, *, but: UUID, reason: str, now: datetime
) -> int:
    """End every session of a member but one, as `end`; return how many."""
    ended = member_sessions.end_all(session, identity_id, reason=reason, now=now, but=but)
    told = tuple(EndSession(str(session_id)) for session_id in ended)
    effects.record(session, identity_id, told, now=now)
    return len(ended)


def end_all(session: Session, identity_id: UUID, *, reason: str, now: datetime) -> None:
    """End every session of a member here, and at Kratos soon and surely."""
    member_sessions.end_all(session, identity_id, reason=reason, now=now)
    effects.record(session, identity_id, (EndSessions(),), now=now)
