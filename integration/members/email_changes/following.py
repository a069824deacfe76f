"""Kratos is made to match a member's open change of address. The caller holds the lock."""

from uuid import UUID

from integration.db import email_changes, members, security_events
from integration.errors import ConflictError, UpstreamUnavailableError
from integration.members import factor_enrolment
from integration.members.email_changes import recording
from integration.ory.kratos_models import Identity
from integration.services import Services
from policies.email_changes import (
    OPEN,
    Change,
    InKratos,
    Replace,
    Restore,
    Settle,
    State,
    Step,
    Withdraw,
    decide_step,
)
from policies.lifecycle import Status
from policies.security_events import Kind

_SECOND_FACTORS = ("totp", "lookup_secret")
_ENDS_OF_REVERTING = frozenset({State.REVERTED, State.LOST})


def follow(services: Services, identity_id: UUID) -> None:
    """Do what the open change of a member is waiting for, if anything.

    Raises:
        UpstreamUnavailableError: Kratos did not answer, or another writer undid it; worth trying
            again.
    """
    current = services.kratos.get(identity_id)
    if current is None:
        return
    change_id, step = _next(services, current)
    if change_id is None or step is None:
        return
    match step:
        case Replace(new):
            _replace(services, change_id, current, new)
        case Restore(old):
            _restore(services, change_id, current, old)
        case Withdraw(state):
            services.kratos.changes.withdraw_pending_email(identity_id)
            _record(services, change_id, state)
        case Settle(state):
            _record(services, change_id, state)


def _next(services: Services, current: Identity) -> tuple[UUID | None, Step | None]:
    """Return the open change and what it needs; a change that no hook told of is recorded."""
    now = services.now()
    with services.transaction() as session:
        change = email_changes.open_of(session, current.id)
        if current.pending_email and (change is None or change.new_email != current.pending_email):
            change = recording.asked(
                session, current.id, current.pending_email, services.settings, now=now
            )
        member = members.get(session, current.id)
        if change is None or member is None:
            return None, None
        facts = Change(State(change.state), change.old_email, change.new_email, change.expires_at)
        found = InKratos(
            current.email, current.pending_email, current.is_address_verified(current.pending_email)
        )
        is_active = member.status == Status.ACTIVE
        return change.id, decide_step(facts, found, is_active=is_active, now=now)


def _replace(services: Services, change_id: UUID, current: Identity, new: str) -> None:
    try:
        services.kratos.changes.put_email(current.id, new, has_pending=True)
    except ConflictError:
        services.kratos.changes.withdraw_pending_email(current.id)
        _record(services, change_id, State.TAKEN)
        return
    _expect(services, current.id, new)
    _record(services, change_id, State.DONE)


def _restore(services: Services, change_id: UUID, current: Identity, old: str) -> None:
    """Give the old address back, proven by the ticket that came from its mailbox.

    Sessions go first, so that nobody changes it again meanwhile; so do second factors that came
    with the change: they would keep the owner out of the recovery that follows.
    """
    services.kratos.end_sessions(current.id)
    with services.transaction() as session:
        change = email_changes.get(session, change_id)
        since = services.now() if change is None else change.asked_at
        added = security_events.has_since(session, current.id, Kind.SECOND_FACTOR_ADDED, since)
    for kind in _SECOND_FACTORS if added else ():
        services.kratos.changes.remove_second_factor(current.id, kind)
    if added:
        with services.transaction() as session:
            factor_enrolment.refresh(session, services, current.id)
    has_pending = bool(current.pending_email)
    try:
        services.kratos.changes.put_email(
            current.id, old, has_pending=has_pending, is_verified=True
        )
    except ConflictError:
        _record(services, change_id, State.LOST)
        return
    _expect(services, current.id, old)
    _record(services, change_id, State.REVERTED)


def _expect(services: Services, identity_id: UUID, email: str) -> None:
    """Look whether the address stayed: a login that re-hashes saves the identity it had read."""
    now = services.kratos.get(identity_id)
    if now is None or now.email != email or now.pending_email:
        raise UpstreamUnavailableError("Another writer changed the identity meanwhile.")


def _record(services: Services, change_id: UUID, state: State) -> None:
    now = services.now()
    with services.transaction() as session:
        change = email_changes.get(session, change_id)
        if change is None:
            return
        members.lock(session, change.identity_id)
        session.refresh(change)
        # Somebody may have asked to take it back while Kratos was told: that comes next.
        is_reverting = change.state == State.REVERTING
        if change.state not in OPEN or is_reverting != (state in _ENDS_OF_REVERTING):
            return
        if state is State.DONE:
            recording.done(session, change, services.settings, now=now)
        elif state is State.REVERTED:
            recording.reverted(session, change, now=now)
        else:
            recording.end(session, change, state, now=now)
