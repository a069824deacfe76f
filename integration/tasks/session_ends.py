"""Ends sessions at Kratos and in our own rows: whoever remembers one of them has to ask again."""

from datetime import datetime
from uuid import UUID

from integration.db import member_sessions, members
from integration.services import Services
from policies.lifecycle import Status

_REASON = "revoked"
_ENDED_AT_KRATOS = "logout"


def end_one(services: Services, session_id: UUID) -> None:
    """End one session; one that is gone already is as good."""
    services.kratos.end_session(session_id)
    with services.transaction() as session:
        member_sessions.end(session, session_id, reason=_REASON, now=services.now())


def end_all(services: Services, identity_id: UUID, *, asked_at: datetime) -> None:
    """End every session of a member. The caller holds the identity's lock.

    Of one who is active only those from before it was asked for: who logged in since was let in.
    """
    with services.transaction() as session:
        member = members.get(session, identity_id)
    if member is not None and member.status == Status.ACTIVE:
        end_older(services, identity_id, asked_at)
        return
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


def follow(services: Services, identity_id: UUID) -> None:
    """End with us what Kratos ended and nobody could write down. The caller holds the identity's
    lock."""
    with services.transaction() as session:
        rows = member_sessions.of_member(session, identity_id, now=services.now())
    if not rows:
        return
    living = services.kratos.living_sessions(identity_id)
    ended = [row.session_id for row in rows if row.session_id not in living]
    with services.transaction() as session:
        for session_id in ended:
            member_sessions.end(session, session_id, reason=_ENDED_AT_KRATOS, now=services.now())
