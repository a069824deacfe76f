"""What happens to a change of address, recorded with what follows from it.

Every function belongs to the caller's transaction and takes the member's row first.
"""

from datetime import UTC, datetime
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import email_changes, epochs, members, security_events
from integration.db.email_change_tables import EmailChange
from integration.db.tables import Member
from integration.errors import ConflictError
from integration.members import sessions
from integration.members.email_changes import tickets
from integration.settings import Settings
from policies.decisions import (
    Effect,
    FollowEmailChange,
    ForgetCredentials,
    PublishEvent,
    SendMail,
)
from policies.email_changes import State, may_be_reverted
from policies.lifecycle import Status
from policies.security_events import Kind

# What a member is told of a change that came to nothing, and why; other ends need no words.
_ENDS = {State.TAKEN: "email_change_taken"}


def asked(
    session: Session, identity_id: UUID, pending: str, settings: Settings, *, now: datetime
) -> EmailChange | None:
    """Record that Kratos has this `pending_email` ("" for none) of a member, once.

    Returns:
        The open change; None when there is none, or nobody to change.
    """
    member = members.lock(session, identity_id)
    if member is None or member.status == Status.DELETED or member.email is None:
        return None
    known = email_changes.open_of(session, identity_id)
    if known is not None and (known.new_email == pending or known.state == State.REVERTING):
        return known
    if known is not None:
        end(session, known, State.SUPERSEDED if pending else State.CANCELLED, now=now)
    if not pending:
        return None
    change = email_changes.add(
        session,
        identity_id,
        old_email=member.email,
        new_email=pending,
        lifetime=settings.email_change_lifetime,
        now=now,
    )
    security_events.record(session, identity_id, Kind.EMAIL_CHANGE_ASKED, {"email": pending}, now)
    _tell_old(session, change, "email_change_asked", settings, now=now)
    return change


def proven(
    session: Session, identity_id: UUID, pending: str, settings: Settings, *, now: datetime
) -> None:
    """Record that somebody gave the code that was sent to `pending`."""
    change = asked(session, identity_id, pending, settings, now=now)
    if change is None:
        return
    if change.state == State.ASKED and now <= change.expires_at:
        change.state = State.PROVEN
    effects.record(session, identity_id, (FollowEmailChange(),), now=now)


def done(session: Session, change: EmailChange, settings: Settings, *, now: datetime) -> None:
    """Record that the new address is the member's: Kratos has it."""
    known = members.lock(session, change.identity_id)
    if known is not None and known.email not in (None, change.new_email):
        # An admin may have changed it since the wish: the last one is what can come back.
        change.old_email = known.email or change.old_email
    member = _member_with(session, change, change.new_email)
    change.state = State.DONE
    change.done_at = change.ended_at = now
    change.revertible_until = now + settings.email_revert_lifetime
    # What the row says of itself is what the mail promises.
    session.flush()
    security_events.record(
        session,
        member.identity_id,
        Kind.EMAIL_CHANGED,
        {"from": change.old_email, "to": change.new_email},
        now,
    )
    _tell_old(session, change, "email_changed", settings, now=now)
    follows: tuple[Effect, ...] = (
        SendMail("email_confirmed", (("when", _words(now)),)),
        PublishEvent("member.email_changed"),
    )
    effects.record(session, member.identity_id, follows, now=now)


def end(session: Session, change: EmailChange, state: State, *, now: datetime) -> None:
    """Record that a change came to nothing."""
    change.state = state
    change.ended_at = now
    session.flush()
    facts = {"email": change.new_email, "why": str(state)}
    security_events.record(session, change.identity_id, Kind.EMAIL_CHANGE_ENDED, facts, now)
    if state in _ENDS:
        mail = SendMail(_ENDS[state], (("new_email", change.new_email),))
        effects.record(session, change.identity_id, (mail,), now=now)


def revert(session: Session, change_id: UUID, *, now: datetime) -> tuple[EmailChange, bool]:
    """Record that the old address wants to be the member's again. All sessions end.

    The password goes too: whoever changed the address may know it. What was changed after this
    change is taken back with it, and its own tickets do nothing any more.

    Returns:
        The change, and whether it is taken back by this very call. The link is no secret for ever:
        used again it must do nothing to a password or a session of since.

    Raises:
        ConflictError: too late, or taken back already by an older address.
    """
    change = email_changes.get(session, change_id)
    if change is not None:
        members.lock(session, change.identity_id)
        change = email_changes.get(session, change_id)
    if change is None:
        raise ConflictError("This change cannot be taken back any more.")
    state = State(change.state)
    if state in (State.REVERTING, State.REVERTED):
        return change, False
    if not may_be_reverted(state, change.revertible_until, now):
        raise ConflictError("This change cannot be taken back any more.", detail=state)
    identity_id = change.identity_id
    pending = email_changes.open_of(session, identity_id)
    if pending is not None and pending.id != change.id:
        end(session, pending, State.SUPERSEDED, now=now)
    if change.done_at is not None:
        for later in email_changes.done_since(session, identity_id, change.done_at):
            later.state = State.SUPERSEDED
    session.flush()
    change.state = State.REVERTING
    session.flush()
    sessions.end_all(session, identity_id, reason="email_reverted", now=now)
    follows = (FollowEmailChange(), ForgetCredentials(before=now.isoformat()))
    effects.record(session, identity_id, follows, now=now)
    security_events.record(session, identity_id, Kind.PASSWORD_REMOVED, {}, now)
    epochs.move(session, identity_id)
    return change, True


def is_revertible(change: EmailChange, now: datetime) -> bool:
    """Tell whether `revert` would do something."""
    return may_be_reverted(State(change.state), change.revertible_until, now)


def reverted(session: Session, change: EmailChange, *, now: datetime) -> None:
    """Record that Kratos has the old address again."""
    member = _member_with(session, change, change.old_email)
    change.state = State.REVERTED
    change.ended_at = now
    session.flush()
    facts = {"from": change.new_email, "to": change.old_email}
    security_events.record(session, member.identity_id, Kind.EMAIL_REVERTED, facts, now)
    follows = (SendMail("email_reverted"), PublishEvent("member.email_changed"))
    effects.record(session, member.identity_id, follows, now=now)


def _member_with(session: Session, change: EmailChange, email: str) -> Member:
    member = members.lock(session, change.identity_id)
    if member is None or member.status == Status.DELETED:
        raise ConflictError("There is no such member.", detail=str(change.identity_id))
    member.email = email
    epochs.move(session, change.identity_id)
    return member


def _tell_old(
    session: Session, change: EmailChange, template: str, settings: Settings, *, now: datetime
) -> None:
    """Write to the old address, with the link that takes the change back."""
    base = str(settings.public_url).rstrip("/")
    ticket = quote(tickets.issue(settings.secret.get_secret_value(), change.id))
    until = change.revertible_until or change.expires_at
    facts = (
        ("new_email", change.new_email),
        ("when", _words(now)),
        ("until", _words(until)),
        ("link", f"{base}/{tickets.PATH}?ticket={ticket}"),
    )
    mail = SendMail(template, facts, to=change.old_email)
    effects.record(session, change.identity_id, (mail,), now=now)


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y, %H:%M} UTC"
