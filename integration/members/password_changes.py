"""What follows when a member changed its password, and passwords that must not work any more."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from sqlalchemy.orm import Session

from integration import effects
from integration.db import inbox, member_sessions, members, outbox, passwords, security_events
from integration.services import Services
from policies import user_agents
from policies.decisions import EndOlderSessions, ForgetCredentials, PublishEvent, SendMail
from policies.lifecycle import Status
from policies.security_events import Kind

_FORGETTING = effects.kind_of(ForgetCredentials)
# Of 256 random bits: nobody guesses them, whatever the hash costs.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
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


def is_forgetting(session: Session, identity_id: UUID) -> bool:
    """Tell whether a member's password should have stopped working, and no other was set since."""
    waiting = outbox.undone_of(session, identity_id, _FORGETTING)
    if waiting is None:
        return False
    before = datetime.fromisoformat(waiting.payload["before"])
    return not security_events.has_since(session, identity_id, Kind.PASSWORD_CHANGED, before)


def forget(services: Services, identity_id: UUID, *, before: datetime) -> None:
    """Make a password that nobody should know, and links to providers, stop working.

    The caller holds the identity's lock.

    Args:
        before: A password that was changed later is the owner's and stays. Changes hold the same
            lock until they are recorded.
    """
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None or member.status == Status.DELETED:
            return
        is_new = security_events.has_since(session, identity_id, Kind.PASSWORD_CHANGED, before)
    if services.kratos.get(identity_id) is None:
        return
    services.kratos.changes.remove_provider_links(identity_id)
    if not is_new:
        unknown = _CHEAP.hash(secrets.token_urlsafe(32))
        services.kratos.changes.put_password_hash(identity_id, unknown)
