"""Queries on changes of e-mail addresses. The caller holds the member's row where it writes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from integration.db.email_change_tables import EmailChange
from integration.db.retention import delete_oldest
from policies.email_changes import ASKS, OPEN, State

_LONGEST_ASKS = max(span for span, _ in ASKS)


def get(session: Session, change_id: UUID) -> EmailChange | None:
    return session.get(EmailChange, change_id, populate_existing=True)


def open_of(session: Session, identity_id: UUID) -> EmailChange | None:
    """Return the member's open change."""
    return session.scalar(
        select(EmailChange)
        .where(EmailChange.identity_id == identity_id, EmailChange.state.in_(OPEN))
        .execution_options(populate_existing=True)
    )


def asked_for(session: Session, email: str) -> EmailChange | None:
    """Return the change by which a member asked for an address and has not proven it.

    Args:
        email: In lower case.
    """
    return session.scalar(
        select(EmailChange)
        .where(EmailChange.new_email == email, EmailChange.state == State.ASKED)
        .limit(1)
    )


def all_open(session: Session) -> frozenset[tuple[UUID, str]]:
    """Return every member with an open change, with the address it asked for."""
    statement = select(EmailChange.identity_id, EmailChange.new_email)
    rows = session.execute(statement.where(EmailChange.state.in_(OPEN)))
    return frozenset((identity_id, email) for identity_id, email in rows)


def revertible(session: Session, identity_id: UUID, now: datetime) -> EmailChange | None:
    """Return the member's last change that is done and may still be taken back."""
    return session.scalar(
        select(EmailChange)
        .where(
            EmailChange.identity_id == identity_id,
            EmailChange.state == State.DONE,
            EmailChange.revertible_until >= now,
        )
        .order_by(EmailChange.done_at.desc())
        .limit(1)
    )


def done_since(session: Session, identity_id: UUID, since: datetime) -> Sequence[EmailChange]:
    """Return the member's changes that were done at or after a moment, and not taken back."""
    return session.scalars(
        select(EmailChange).where(
            EmailChange.identity_id == identity_id,
            EmailChange.state == State.DONE,
            EmailChange.done_at >= since,
        )
    ).all()


def add(
    session: Session,
    identity_id: UUID,
    *,
    old_email: str,
    new_email: str,
    lifetime: timedelta,
    now: datetime,
) -> EmailChange:
    """Insert a change that was just asked for. The member has no other open one."""
    change = EmailChange(
        id=uuid4(),
        identity_id=identity_id,
        old_email=old_email,
        new_email=new_email,
        state=State.ASKED,
        asked_at=now,
        expires_at=now + lifetime,
    )
    session.add(change)
    session.flush()
    return change


def asks_of(session: Session, identity_id: UUID, now: datetime) -> list[datetime]:
    """Return when a member asked for another address lately."""
    return list(
        session.scalars(
            select(EmailChange.asked_at).where(
                EmailChange.identity_id == identity_id, EmailChange.asked_at > now - _LONGEST_ASKS
            )
        )
    )


def is_reserved(session: Session, email: str, *, but_for: UUID | None, now: datetime) -> bool:
    """Tell whether a member had this address and may still take it back.

    Args:
        email: In lower case.
        but_for: Whose own it may be.
    """
    statement = select(EmailChange.identity_id).where(
        EmailChange.old_email == email,
        EmailChange.state.in_((State.DONE, State.REVERTING)),
        EmailChange.revertible_until >= now,
    )
    return any(owner != but_for for owner in session.scalars(statement))


def note_flow(session: Session, identity_id: UUID, new_email: str, flow_id: UUID) -> None:
    """Remember the flow whose code was just sent to the address that is asked for."""
    session.execute(
        update(EmailChange)
        .where(
            EmailChange.identity_id == identity_id,
            EmailChange.new_email == new_email,
            EmailChange.state == State.ASKED,
        )
        .values(verification_flow_id=flow_id)
    )


def overdue(session: Session, now: datetime, *, limit: int = 500) -> list[UUID]:
    """Return members whose asked-for address nobody proved in time."""
    return list(
        session.scalars(
            select(EmailChange.identity_id)
            .where(EmailChange.state == State.ASKED, EmailChange.expires_at < now)
            .order_by(EmailChange.expires_at)
            .limit(limit)
        )
    )


def forget(session: Session, identity_id: UUID) -> None:
    """Delete every address a member had or wanted."""
    session.execute(delete(EmailChange).where(EmailChange.identity_id == identity_id))


def forget_before(session: Session, before: datetime) -> int:
    """Delete the oldest changes that ended, or can no longer be taken back, before a moment."""
    return delete_oldest(session, EmailChange.ended_at, before, EmailChange.state.not_in(OPEN))
