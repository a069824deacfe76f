"""What time brings about: members that expire, and rows that have served."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from integration import effects
from integration.db import (
    admin_audit,
    decisions,
    email_changes,
    flows,
    inbox,
    login_attempts,
    member_sessions,
    outbox,
    passwords,
    security_events,
    token_families,
    tuple_writes,
)
from integration.db import members as member_rows
from integration.errors import ConflictError, NotFoundError
from integration.members import lifecycle, tickets
from integration.services import Services
from integration.tasks import session_upkeep
from policies.decisions import FollowEmailChange
from policies.lifecycle import Actor, Status, Trigger

log = structlog.get_logger()

_KEEP_FLOWS = timedelta(days=30)
_KEEP_DONE_EFFECTS = timedelta(days=7)
_KEEP_MAIL_NAMES = timedelta(days=30)
# Longer than a ticket is good for, by far.
_KEEP_TICKET_NAMES = timedelta(days=1)
_KEEP_EMAIL_CHANGES = timedelta(days=1)
_KEEP_SECURITY_EVENTS = timedelta(days=365)
_KEEP_PASSWORD_ATTEMPTS = timedelta(hours=1)
_KEEP_PROOFS = timedelta(days=1)
_LATE_AUDITS = timedelta(days=30)
# Of one sort in one sweep: everybody can cause attempts and decisions, thousands a second.
_MOST_STEPS = 100
# Longer than the edge waits for Keto, by far.
_LONGEST_TUPLE_WRITE = timedelta(minutes=2)


def sweep(services: Services) -> None:
    """Do everything that is due by now. A part that fails keeps no other from its turn."""
    parts: tuple[Callable[[Services], object], ...] = (
        expire_unverified,
        delete_expired,
        expire_email_changes,
        end_abandoned_tuple_writes,
        session_upkeep.extend_used,
        session_upkeep.end_over,
        forget_the_past,
    )
    for part in parts:
        _try(part.__name__, part, services)


def expire_unverified(services: Services) -> int:
    """Expire members that did not verify in time; return how many."""
    before = services.now() - services.settings.unverified_lifetime
    return _each(services, Status.PENDING_VERIFICATION, before, _expire)


def delete_expired(services: Services) -> int:
    """Delete members that stayed expired: their identity goes, their names are free."""
    before = services.now() - services.settings.expired_lifetime
    return _each(services, Status.EXPIRED, before, _delete)


def expire_email_changes(services: Services) -> int:
    """Take addresses that nobody proved in time out of Kratos; return how many."""
    now = services.now()
    with services.transaction() as session:
        overdue = email_changes.overdue(session, now)
        for identity_id in overdue:
            if not outbox.is_pending(session, identity_id, ("account",)):
                effects.record(session, identity_id, (FollowEmailChange(),), now=now)
    return len(overdue)


def end_abandoned_tuple_writes(services: Services) -> int:
    """End writes of tuples whose edge died before it could; return how many."""
    now = services.now()
    with services.transaction() as session:
        return tuple_writes.end_abandoned(session, before=now - _LONGEST_TUPLE_WRITE, now=now)


def forget_the_past(services: Services) -> None:
    """Delete rows that nobody asks for any more.

    Each sort is deleted in steps of a bounded number of rows, each step a transaction of its own:
    however much there is, no lock is held for long, and it leaves as fast as it came.
    """
    now, settings = services.now(), services.settings
    revertible = settings.email_revert_lifetime + _KEEP_EMAIL_CHANGES
    sorts: dict[str, Callable[[Session], int]] = {
        "flows": lambda session: flows.forget_before(session, now - _KEEP_FLOWS),
        "login_attempts": lambda session: login_attempts.forget_before(
            session, now - settings.login_attempts_lifetime
        ),
        "decisions": lambda session: decisions.forget_before(
            session, now - settings.decision_log_lifetime
        ),
        "effects": lambda session: outbox.forget_done_before(session, now - _KEEP_DONE_EFFECTS),
        "mails": lambda session: inbox.forget_before(session, "courier", now - _KEEP_MAIL_NAMES),
        "passwords": lambda session: inbox.forget_before(
            session, "password", now - _KEEP_MAIL_NAMES
        ),
        "verdicts": lambda session: passwords.forget_attempts_before(
            session, now - _KEEP_PASSWORD_ATTEMPTS
        ),
        "tickets": lambda session: inbox.forget_before(
            session, tickets.SORT, now - _KEEP_TICKET_NAMES
        ),
        # What a call wrote that was under way when its member was deleted.
        "audits": lambda session: admin_audit.forget_deleted(session, now - _LATE_AUDITS),
        "email_changes": lambda session: email_changes.forget_before(session, now - revertible),
        "security_events": lambda session: security_events.forget_before(
            session, now - _KEEP_SECURITY_EVENTS
        ),
        "sessions": lambda session: member_sessions.forget_ended_before(
            session, now - settings.session_record_lifetime
        ),
        "tokens": lambda session: token_families.forget_before(
            session, now, lifetime=settings.refresh_token_lifetime
        ),
        "proofs": lambda session: token_families.forget_proofs_before(session, now - _KEEP_PROOFS),
    }
    for sort, forget in sorts.items():
        _try(f"forget {sort}", _forget_some, services, forget)


def _forget_some(services: Services, forget: Callable[[Session], int]) -> None:
    for _ in range(_MOST_STEPS):
        with services.transaction() as session:
            if not forget(session):
                return


def _try(part: str, work: Callable[..., object], *given: object) -> None:
    try:
        work(*given)
    except Exception:
        log.exception("sweep_failed", part=part)


def _expire(session: Session, identity_id: UUID, now: datetime) -> None:
    lifecycle.expire(session, identity_id, now=now)


def _delete(session: Session, identity_id: UUID, now: datetime) -> None:
    lifecycle.transition(
        session, identity_id, Trigger.UNVERIFIED_TOO_LONG, actor=Actor.SYSTEM, now=now
    )


def _each(
    services: Services,
    status: Status,
    before: datetime,
    move: Callable[[Session, UUID, datetime], None],
) -> int:
    """Move each member on in a transaction of its own; one that moved meanwhile is left."""
    with services.transaction() as session:
        due = member_rows.in_status_since(session, status, before)
    moved = 0
    for identity_id in due:
        try:
            with services.transaction() as session:
                move(session, identity_id, services.now())
            moved += 1
        except (ConflictError, NotFoundError) as error:
            log.info("sweep_skipped", member=str(identity_id), reason=error.code)
        except SQLAlchemyError as error:
            # Somebody holds that member, or it cannot be moved: the others do not wait for it.
            log.warning("sweep_skipped", member=str(identity_id), reason=type(error).__name__)
    return moved
