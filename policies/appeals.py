"""Who may appeal against a suspension, and who may decide about it.

Where an appeal can lead stands in `policies.lifecycle`: back to active, for the suspended alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from policies.authority import Role
from policies.decisions import Allow, Decision, Deny, PublishEvent, Reason, SendMail
from policies.grants import MAX_REASON, REASON_TOO_LONG, Granter, against_reason
from policies.lifecycle import Actor, Status, Trigger, decide_transition
from policies.permissions import Permission, allows, permissions_of

MAX_STATEMENT = 4000
AGAIN_AFTER = timedelta(days=7)
"""How long after a rejection the member may appeal once more against the same suspension."""

_NOT_POSSIBLE = Reason("appeal_not_possible", "There is nothing to appeal against.")
_OPEN = Reason("appeal_open", "Your appeal is being looked at already.")
_TOO_SOON = Reason(
    "appeal_too_soon",
    f"An appeal was rejected lately. You can appeal again {AGAIN_AFTER.days} days after it.",
)
_STATEMENT_MISSING = Reason("statement_missing", "Say why.", "#/statement")
_STATEMENT_TOO_LONG = Reason(
    "statement_too_long", f"Use at most {MAX_STATEMENT} characters.", "#/statement"
)
_SAME_PERSON = Reason("same_person", "Another person has to decide this.")
_NOT_HELD = Reason("role_not_held", "The member's role holds more than you do yourself.")


class AppealState(StrEnum):
    """How far one appeal got."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    MOOT = "moot"  # the suspension ended in another way


@dataclass(frozen=True, slots=True)
class Past:
    """What a member appealed before against the same suspension.

    Attributes:
        is_open: An appeal is not decided yet.
        rejected_at: When the last one was rejected.
    """

    is_open: bool = False
    rejected_at: datetime | None = None


def decide_appealing(status: Status, past: Past, *, now: datetime) -> Decision:
    """Decide whether a member may appeal now.

    Returns:
        Allow, or a denial with one of the codes `appeal_not_possible`, `appeal_open` and
        `appeal_too_soon`.
    """
    if isinstance(decide_transition(status, Trigger.APPEAL_APPROVED, Actor.ADMIN), Deny):
        return Deny((_NOT_POSSIBLE,))
    if past.is_open:
        return Deny((_OPEN,))
    if past.rejected_at is not None and now < past.rejected_at + AGAIN_AFTER:
        return Deny((_TOO_SOON,))
    return Allow()


def decide_appeal(status: Status, past: Past, statement: str, *, now: datetime) -> Decision:
    """Decide about one appeal of a member.

    Returns:
        Allow, with what is told; or a denial as `decide_appealing` says, or with
        `statement_missing` or `statement_too_long`.
    """
    decision = decide_appealing(status, past, now=now)
    if isinstance(decision, Deny):
        return decision
    if not statement.strip():
        return Deny((_STATEMENT_MISSING,))
    if len(statement) > MAX_STATEMENT:
        return Deny((_STATEMENT_TOO_LONG,))
    return Allow((SendMail("appeal_received"), PublishEvent("appeal.made")))


def decide_acceptance(
    state: AppealState,
    subject_id: str,
    role: Role,
    decider: Granter,
    reason: str,
    *,
    added: Iterable[Permission],
) -> Decision:
    """Decide whether an appeal may be accepted: the member is active again, with its role.

    Nobody gives back a role that holds more than oneself does.

    Args:
        added: The application's permissions.
        reason: Told to the member; may be empty.

    Returns:
        Allow, with what is told besides the arrow's own effects; or a denial with
        `appeal_not_open`, `same_person`, `role_not_held`, `reason_too_long`.
    """
    held = {item.name for item in decider.holds if item.until is None}
    is_held = all(allows(held, name) for name in permissions_of(role, tuple(added)))
    reasons = (
        *_against_decider(state, subject_id, decider),
        *((_NOT_HELD,) if decider.subject_id is not None and not is_held else ()),
        *((REASON_TOO_LONG,) if len(reason) > MAX_REASON else ()),
    )
    return Deny(reasons) if reasons else _told("accepted", reason)


def decide_rejection(
    state: AppealState, subject_id: str, decider: Granter, reason: str
) -> Decision:
    """Decide whether an appeal may be rejected, which needs words.

    Returns:
        Allow, with what is told; or a denial with `appeal_not_open`, `same_person`,
        `reason_missing`, `reason_too_long`.
    """
    reasons = (*_against_decider(state, subject_id, decider), *against_reason(reason))
    return Deny(reasons) if reasons else _told("rejected", reason)


def _against_decider(state: AppealState, subject_id: str, decider: Granter) -> Iterator[Reason]:
    if state is not AppealState.OPEN:
        yield Reason("appeal_not_open", f"This appeal is {state} already.")
    if decider.subject_id == subject_id:
        yield _SAME_PERSON


def _told(how: str, reason: str) -> Allow:
    mail = SendMail(f"appeal_{how}", (("reason", reason.strip()),))
    return Allow((mail, PublishEvent(f"appeal.{how}")))
