"""What follows when a member changed its password, recorded with the change."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from integration import effects
from integration.db import inbox, member_sessions, members, passwords, security_events
from policies import user_agents
from policies.decisions import EndOlderSessions, PublishEvent, SendMail
from policies.security_events import Kind

# Kratos ends the other sessions before it answers, the edge the caller's own once the answer is
# sent. This comes after both and finds something to do only where one of them failed.
_SURELY_AFTER = timedelta(seconds=1)


def record(session: Session, identity_id: UUID, attempt_id: UUID | None, *, now: datetime) -> None:
    """Record a change of password once, however often it is told.

    Args:
        attempt_id: Under which the edge judged it; also the id of the effect that ends sessions,
            by which the edge finds that the change was made.
    """
    if attempt_id is not None and not inbox.claim(session, f"password:{attempt_id}"):
        return
    changed = passwords.promote(session, attempt_id, identity_id)
    # Tokens of these sessions end with this transaction; Kratos' own rows follow.
    member_sessions.end_all(session, identity_id, reason="password_changed", now=now, before=now)
    members.password_chosen(session, identity_id)
    effects.record_later(
        session,
        identity_id,
        EndOlderSessions(before=now.isoformat()),
        effect_id=attempt_id or uuid4(),
        delay=_SURELY_AFTER,
        now=now,
    )
    facts = (
        ("when", f"{now.astimezone(UTC):%d %B %Y, %H:%M} UTC"),
        ("address", changed.client_address if changed else "unknown"),
        ("device", user_agents.describe(changed.user_agent if changed else "")),
    )
    device = {"device": facts[2][1], "address": facts[1][1]}
    security_events.record(session, identity_id, Kind.PASSWORD_CHANGED, device, now)
    follows = (SendMail("password_changed", facts), PublishEvent("member.password_changed"))
    effects.record(session, identity_id, follows, now=now)
