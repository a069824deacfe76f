"""A permission for a while: a member asks, another person decides, time ends it."""

from collections.abc import Iterator, Sequence, Set
from datetime import datetime, timedelta
from enum import StrEnum

from policies.decisions import Allow, Decision, Deny, PublishEvent, Reason, SendMail
from policies.grants import (
    Candidate,
    Conflicts,
    Granter,
    Wish,
    against_candidate,
    against_duties,
    against_reason,
    decide_grant,
)
from policies.permissions import allows, check_name

SHORTEST = timedelta(minutes=1)


class ElevationState(StrEnum):
    """Where a request stands. All but the first are final."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


def decide_request(
    permission: str,
    duration: timedelta,
    reason: str,
    member: Candidate,
    *,
    catalogue: Set[str],
    conflicts: Conflicts,
    longest: timedelta,
) -> Decision:
    """Decide whether a member may ask for a permission.

    Returns:
        Allow; or a denial: those of `decide_grant` that do not depend on who grants,
        `permission_held`, `duration_out_of_bounds`.
    """
    if invalid := check_name(permission):
        return invalid
    if permission not in catalogue:
        return Deny((Reason("permission_unknown", "There is no such permission.", "#/permission"),))
    reasons = (
        *against_candidate(member),
        *against_reason(reason),
        *against_duties(permission, member.holds, conflicts),
        *_against_holding(permission, member),
        *_against_duration(duration, longest),
    )
    if reasons:
        return Deny(reasons)
    return Allow((PublishEvent("elevation.requested", (("permission", permission),)),))


def wait_to_request(
    asked: Sequence[datetime], most: int, window: timedelta, now: datetime
) -> timedelta | None:
    """Return how long a member has to wait before it may ask again; None: it need not.

    Args:
        asked: When it asked before, however it ended, the newest first.
        most: How often it may ask within `window`.
    """
    counted = [moment for moment in asked if moment > now - window]
    return None if len(counted) < most else counted[most - 1] + window - now


def decide_approval(
    wish: Wish,
    candidate: Candidate,
    approver: Granter,
    *,
    state: ElevationState,
    lapses_at: datetime,
    catalogue: Set[str],
    conflicts: Conflicts,
    now: datetime,
) -> Decision:
    """Decide whether a request may be approved: as a grant, and by another person.

    Returns:
        What `decide_grant` says; or a denial: `elevation_not_open`, `elevation_lapsed`,
        `person_required`, `same_person`.
    """
    reasons = (
        *_against_state(state, lapses_at, now),
        *_against_person(candidate.subject_id, approver),
    )
    if reasons:
        return Deny(reasons)
    return decide_grant(
        wish, candidate, approver, catalogue=catalogue, conflicts=conflicts, now=now
    )


def decide_denial(
    permission: str,
    subject_id: str,
    decider: Granter,
    reason: str,
    *,
    state: ElevationState,
    lapses_at: datetime,
    now: datetime,
) -> Decision:
    """Decide whether a request may be denied: by another person, or by a key."""
    same = (_SAME_PERSON,) if decider.subject_id == subject_id else ()
    reasons = (*_against_state(state, lapses_at, now), *same, *against_reason(reason))
    if reasons:
        return Deny(reasons)
    return Allow(
        (
            SendMail("elevation_denied", (("permission", permission), ("reason", reason.strip()))),
            PublishEvent("elevation.denied", (("permission", permission),)),
        )
    )


def decide_withdrawal(
    subject_id: str, caller_id: str, *, state: ElevationState, lapses_at: datetime, now: datetime
) -> Decision:
    """Decide whether a request may be taken back: by who made it, while it is open."""
    if subject_id != caller_id:
        return Deny((Reason("not_yours", "This is not your request."),))
    reasons = tuple(_against_state(state, lapses_at, now))
    return Deny(reasons) if reasons else Allow()


_SAME_PERSON = Reason("same_person", "Another person has to decide this.")


def _against_holding(permission: str, member: Candidate) -> Iterator[Reason]:
    if allows(member.holds, permission):
        yield Reason("permission_held", "You have this permission already.", "#/permission")


def _against_duration(duration: timedelta, longest: timedelta) -> Iterator[Reason]:
    if not SHORTEST <= duration <= longest:
        minutes = int(longest.total_seconds() // 60)
        text = f"Ask for one minute to {minutes} minutes."
        yield Reason("duration_out_of_bounds", text, "#/duration")


def _against_state(state: ElevationState, lapses_at: datetime, now: datetime) -> Iterator[Reason]:
    if state is not ElevationState.REQUESTED:
        yield Reason("elevation_not_open", f"This request is {state} already.")
    elif lapses_at <= now:
        yield Reason("elevation_lapsed", "Nobody decided this request in time.")


def _against_person(subject_id: str, approver: Granter) -> Iterator[Reason]:
    if approver.subject_id is None:
        yield Reason("person_required", "A person has to approve this, not a key.")
    elif approver.subject_id == subject_id:
        yield _SAME_PERSON
