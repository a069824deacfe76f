"""What follows when a second factor came or went, recorded with it."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import epochs, members, security_events
from policies.decisions import SendMail
from policies.security_events import Kind, decide_factor_event

_WORDS = {"totp": "authenticator app", "lookup_secret": "backup codes"}


def record(
    session: Session, identity_id: UUID, method: str, *, is_set: bool, now: datetime
) -> None:
    """Record a change once, however often it is told.

    Args:
        method: `totp` or `lookup_secret`.
        is_set: Whether the member has one now.
    """
    if members.lock(session, identity_id) is None:
        return
    last = security_events.last_about_factor(session, identity_id, method)
    kind = decide_factor_event(last, is_set=is_set, now=now)
    if kind is None:
        return
    security_events.record(session, identity_id, kind, {"method": method}, now)
    is_added = kind is Kind.SECOND_FACTOR_ADDED
    facts = (
        ("factor", _WORDS[method]),
        ("when", f"{now.astimezone(UTC):%d %B %Y, %H:%M} UTC"),
    )
    template = "second_factor_added" if is_added else "second_factor_removed"
    effects.record(session, identity_id, (SendMail(template, facts),), now=now)
    epochs.move(session, identity_id)
