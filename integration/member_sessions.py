"""Sessions of members: seen for the first time, and ended. Belongs to the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import member_sessions
from integration.db.session_tables import MemberSession
from integration.ory.kratos_models import KratosSession
from policies.decisions import EndSession, EndSessions


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
    )
    return member_sessions.add(session, new)


def end(
    session: Session, identity_id: UUID, session_id: UUID, *, reason: str, now: datetime
) -> bool:
    """End one session here, and at Kratos soon and surely; False when it had ended."""
    if not member_sessions.end(session, session_id, reason=reason, now=now):
        return False
    effects.record(session, identity_id, (EndSession(str(session_id)),), now=now)
    return True


def end_all(session: Session, identity_id: UUID, *, reason: str, now: datetime) -> None:
    """End every session of a member here, and at Kratos soon and surely."""
    member_sessions.end_all(session, identity_id, reason=reason, now=now)
    effects.record(session, identity_id, (EndSessions(),), now=now)
