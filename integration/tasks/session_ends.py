"""Sessions end at Kratos, and with us where they had not: no edge answers for them from memory."""

from datetime import datetime
from uuid import UUID

from integration.db import member_sessions
from integration.services import Services

_REASON = "revoked"


def end_all(services: Services, identity_id: UUID) -> None:
    """End all sessions of a member."""
    services.kratos.end_sessions(identity_id)
    with services.transaction() as session:
        member_sessions.end_all(session, identity_id, reason=_REASON, now=services.now())


def end_before(services: Services, identity_id: UUID, moment: datetime) -> None:
    """End the sessions whose last authentication is before a moment."""
    services.kratos.end_sessions_before(identity_id, moment)
    with services.transaction() as session:
        member_sessions.end_all(
            session, identity_id, reason=_REASON, now=services.now(), before=moment
        )


def end_one(services: Services, session_id: UUID) -> None:
    """End one session."""
    services.kratos.end_session(session_id)
    with services.transaction() as session:
        member_sessions.end(session, session_id, reason=_REASON, now=services.now())
