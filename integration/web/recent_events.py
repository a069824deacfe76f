"""What happened to an account lately, in words."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from integration.db import security_events
from integration.db.security_tables import SecurityEvent
from integration.errors import KleisError, UnauthenticatedError
from integration.members import callers
from integration.services import Services
from policies.security_events import Kind

log = structlog.get_logger()

_MOST = 8
_FACTORS = {"totp": "the authenticator app", "lookup_secret": "backup codes"}


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """One event. `at` is for programs, `when` for people."""

    at: str
    when: str
    text: str


def of(request: Request, services: Services) -> tuple[RecentEvent, ...]:
    """Return the last events of the member whose browser asks; none without a session.

    None either when they cannot be had now: the page is of use without them.
    """
    try:
        member = callers.of_session(services, request.headers).member
        with services.transaction() as session:
            found = security_events.latest(session, member.identity_id, before=None, limit=_MOST)
            return tuple(_told(event) for event in found)
    except UnauthenticatedError:
        return ()
    except (KleisError, SQLAlchemyError) as error:
        log.warning("events_not_shown", error=type(error).__name__)
        return ()


def _told(event: SecurityEvent) -> RecentEvent:
    at: datetime = event.at.astimezone(UTC)
    return RecentEvent(at.isoformat(), f"{at:%d %B %Y, %H:%M} UTC", _words(event))


def _words(event: SecurityEvent) -> str:
    facts = event.facts
    factor = _FACTORS.get(str(facts.get("method", "")), "a second step")
    sentences = {
        Kind.PASSWORD_CHANGED: "The password was changed.",
        Kind.PASSWORD_REMOVED: "The old password stopped working.",
        Kind.EMAIL_CHANGE_ASKED: f"A change of the address to {facts.get('email', '')} was asked.",
        Kind.EMAIL_CHANGE_ENDED: f"The change to {facts.get('email', '')} came to nothing.",
        Kind.EMAIL_CHANGED: f"The address was changed to {facts.get('to', '')}.",
        Kind.EMAIL_REVERTED: f"The address was changed back to {facts.get('to', '')}.",
        Kind.SECOND_FACTOR_ADDED: f"A second step was turned on: {factor}.",
        Kind.SECOND_FACTOR_REMOVED: f"A second step was turned off: {factor}.",
        Kind.DEACTIVATED: "The account was deactivated.",
        Kind.REACTIVATED: "The account was activated again.",
        Kind.CONNECTION_ADDED: "An account elsewhere was linked; it logs in here from now on.",
        Kind.CONNECTION_REMOVED: "The link to an account elsewhere was removed.",
        Kind.NEW_DEVICE: "A new device logged in.",
        Kind.SESSIONS_ENDED: "Sessions were ended for safety.",
    }
    return sentences.get(Kind(event.kind), event.kind) if event.kind in set(Kind) else event.kind
