"""Tickets of members who may not log in, taken for what they were given for, once."""

from datetime import datetime

from sqlalchemy.orm import Session

from integration import member_tickets
from integration.db import inbox, members
from integration.db.tables import Member
from integration.errors import ForbiddenError
from integration.member_tickets import Ticket
from integration.settings import Settings
from policies.lifecycle import Status
from policies.login_refusals import NextStep, next_steps

SORT = "ticket"
"""Begins the names of used tickets among the handled events."""


def issue(settings: Settings, member: Member, step: NextStep, *, now: datetime) -> str:
    """Return a ticket for one step of a member, who has just proven the password."""
    return member_tickets.issue(
        settings.secret.get_secret_value(),
        step,
        member.identity_id,
        since=member.status_changed_at,
        now=now,
    )


def check(
    session: Session, settings: Settings, step: NextStep, ticket: str, *, now: datetime
) -> Member:
    """Return the member of a ticket that could be used. The row is held until the transaction ends.

    Raises:
        ForbiddenError: `ticket_refused`, whatever the reason: forged, for another step, too old, or
            of a state that is over.
    """
    return _member_of(session, _read(settings, step, ticket, now), step)


def redeem(
    session: Session, settings: Settings, step: NextStep, ticket: str, *, now: datetime
) -> Member:
    """Use a ticket up, and return its member, whose row is held until the transaction ends.

    Raises:
        ForbiddenError: `ticket_refused`: as `check`, or used already.
    """
    read = _read(settings, step, ticket, now)
    member = _member_of(session, read, step)
    if not inbox.claim(session, f"{SORT}:{read.name}"):
        raise _refused()
    return member


def give_back(
    session: Session, settings: Settings, step: NextStep, ticket: str, *, now: datetime
) -> None:
    """Let a ticket be used again: nothing came of it."""
    inbox.release(session, f"{SORT}:{_read(settings, step, ticket, now).name}")


def _read(settings: Settings, step: NextStep, ticket: str, now: datetime) -> Ticket:
    read = member_tickets.read(settings.secret.get_secret_value(), step, ticket, now=now)
    if read is None:
        raise _refused()
    return read


def _member_of(session: Session, read: Ticket, step: NextStep) -> Member:
    member = members.lock(session, read.identity_id)
    if member is None or member.status_changed_at != read.since:
        raise _refused()
    if step not in next_steps(Status(member.status)):
        raise _refused()
    return member


def _refused() -> ForbiddenError:
    return ForbiddenError(
        "This ticket is not valid, or not any more. Log in again to get another one.",
        problem="ticket_refused",
    )
