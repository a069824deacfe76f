"""Ends sessions at Kratos and in our own rows: whoever remembers one of them has to ask again."""

from datetime import datetime
from uuid import UUID

from integration.db import member_sessions
from integration.services import Services

_REASON = "revoked"


def end_one(services: Services, session_id: UUID) -> None:
    """End one session; one that is gone already is as good."""
    services.kratos.end_session(session_id)
    with services.transaction() as session:
        member_sessions.end(session, session_id, reason=_REASON, now=services.now())


def end_all(services: Services, identity_id: UUID) -> None:
    """End every session of a member. The caller holds the identity's lock."""
    services.kratos.end_sessions(identity_id)
    with services.transaction() as session:
        member_sessions.end_all(session, identity_id, reason=_REASON, now=services.now())


def end_older(services: Services, identity_id: UUID, before: datetime) -> None:
    """End the sessions whose last authentication is before a moment."""
    services.kratos.end_sessions_before(identity_id, before)
    with services.transaction() as session:
        member_sessions.end_all(
            session, identity_id, reason=_REASON, now=services.now(), before=before
        )
