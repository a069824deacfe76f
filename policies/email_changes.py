"""How a member comes by another e-mail address: asked for, proven, done, and taken back.

The old address stays the member's until the new one is proven. For a week after that, whoever reads
the mail of the old one can take the change back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from policies.decisions import Allow, Decision, Deny, Reason
from policies.registration import RegistrationAttempt

ASKS = ((timedelta(hours=1), 5), (timedelta(days=1), 10))
"""How often a member may ask, by span: each time a mail goes to an address of its choice."""

_POINTER = "#/traits/email"
TAKEN = Reason(
    "email_taken",
    "This e-mail address is taken. If the account is yours, log in instead.",
    _POINTER,
)
_NOT_HERE = Reason("email_change", "The e-mail address cannot be changed this way.", _POINTER)
_TOO_OFTEN = Reason(
    "email_change_too_often",
    "You asked for too many changes of your e-mail address. Please try again later.",
    _POINTER,
)


class State(StrEnum):
    """How far one change got."""

    ASKED = "asked"
    PROVEN = "proven"  # by the code from the mail; Kratos' trait is about to follow
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    TAKEN = "taken"  # somebody else has the new address
    LOST = "lost"  # somebody else has the old address, so it cannot come back
    SUPERSEDED = "superseded"


OPEN = frozenset({State.ASKED, State.PROVEN, State.REVERTING})


@dataclass(frozen=True, slots=True)
class Change:
    """The open change of a member, as our row has it."""

    state: State
    old_email: str
    new_email: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InKratos:
    """The addresses of an identity as Kratos has them, in lower case.

    Attributes:
        pending: The trait `pending_email`, or "".
        is_proven: Kratos has `pending` verified.
    """

    email: str
    pending: str
    is_proven: bool


@dataclass(frozen=True, slots=True)
class Replace:
    """Make `new` the address; it is proven."""

    new: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Make `old` the address again: a ticket from its mailbox proves it."""

    old: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the new address out of Kratos; the change ends in `state`."""

    state: State


@dataclass(frozen=True, slots=True)
class Settle:
    """Kratos is as it should be: only our row has to say so, in `state`."""

    state: State


Step: TypeAlias = Replace | Restore | Withdraw | Settle


def asked_address(before: RegistrationAttempt, after: RegistrationAttempt) -> str | None:
    """Return the new address that a change of traits asks for, in lower case; None: no other."""
    wanted = after.email.strip().lower()
    return None if wanted == before.email.lower() else wanted


def decide_asking(asked: Sequence[datetime], *, is_reserved: bool, now: datetime) -> Decision:
    """Decide whether a member may ask for a new address now.

    Args:
        asked: When this member asked before, within the last day.
        is_reserved: Somebody else may still take this address back.
    """
    if any(sum(moment > now - span for moment in asked) >= most for span, most in ASKS):
        return Deny((_TOO_OFTEN,))
    return decide_free(is_reserved=is_reserved)


def decide_no_change(before: RegistrationAttempt, after: RegistrationAttempt) -> Decision:
    """Decide about traits beside something else: Kratos would take a new address at once."""
    return Allow() if asked_address(before, after) is None else Deny((_NOT_HERE,))


def decide_free(*, is_reserved: bool) -> Decision:
    """Decide whether an address may be somebody's at all; the words are as for a taken one."""
    return Deny((TAKEN,)) if is_reserved else Allow()


def decide_step(change: Change, found: InKratos, *, is_active: bool, now: datetime) -> Step | None:
    """Decide what brings Kratos and an open change together; None: wait for the code.

    Reads levels, not events: it may be asked late, twice, and after a crash between any two writes.

    Args:
        change: The newest open one; its address is `found.pending` unless that is empty.
        is_active: Nobody else's address is ever replaced.
    """
    if change.state is State.REVERTING:
        is_back = found.email == change.old_email and not found.pending
        return Settle(State.REVERTED) if is_back else Restore(change.old_email)
    if found.email == change.new_email:
        return Withdraw(State.DONE) if found.pending else Settle(State.DONE)
    if not found.pending:
        return Settle(State.CANCELLED)
    if not is_active:
        return Withdraw(State.CANCELLED)
    in_time = change.state is State.PROVEN or now <= change.expires_at
    if not in_time:
        return Withdraw(State.EXPIRED)
    return Replace(change.new_email) if found.is_proven else None


def may_be_reverted(state: State, revertible_until: datetime | None, now: datetime) -> bool:
    """Tell whether a ticket for a change still does something."""
    if state in (State.ASKED, State.PROVEN):
        return True
    return state is State.DONE and revertible_until is not None and now <= revertible_until
