"""Sessions in use are extended; those that are over are marked, and ended at Kratos."""

import structlog

from integration import effects
from integration.db import member_sessions
from integration.db.session_tables import MemberSession
from integration.errors import KleisError
from integration.services import Services
from policies import sessions
from policies.decisions import EndSession
from policies.sessions import EXTENSION_STEP

log = structlog.get_logger()


def extend_used(services: Services) -> int:
    """Give sessions in use their lifespan again, at Kratos first; return how many got it."""
    now, settings = services.now(), services.settings
    with services.transaction() as session:
        used = member_sessions.in_use(session, lived=EXTENSION_STEP, now=now)
    extended = 0
    for each in used:
        if not sessions.is_to_extend(
            started_at=each.started_at,
            expires_at=each.expires_at,
            last_activity_at=each.last_activity_at,
            max_age=settings.session_max_age,
            now=now,
        ):
            continue
        try:
            extended += _extend(services, each)
        except KleisError as error:
            log.warning("session_not_extended", error=error.code)
    return extended


def _extend(services: Services, each: MemberSession) -> bool:
    expires_at = services.kratos.extend_session(each.session_id)
    with services.transaction() as session:
        if expires_at is None:
            # Kratos lost it: somebody ended it there.
            member_sessions.end(session, each.session_id, reason="revoked", now=services.now())
            return False
        member_sessions.extended(session, each.session_id, expires_at)
    return True


def end_over(services: Services) -> int:
    """Mark sessions that are over; Kratos is told of those it would still accept."""
    now, settings = services.now(), services.settings
    with services.transaction() as session:
        found = member_sessions.over(
            session,
            now=now,
            older_than=settings.session_max_age,
            idle_for=settings.idle_after,
        )
        for each in found:
            reason = sessions.why_over(
                started_at=each.started_at,
                expires_at=each.expires_at,
                last_activity_at=each.last_activity_at,
                max_age=settings.session_max_age,
                idle_timeout=settings.idle_after,
                now=now,
            )
            if reason is None or not member_sessions.end(
                session, each.session_id, reason=reason, now=now
            ):
                continue
            if reason != "expired":
                told = (EndSession(str(each.session_id)),)
                effects.record(session, each.identity_id, told, now=now)
    return len(found)
