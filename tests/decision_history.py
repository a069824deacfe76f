"""Whether a history of checks and revocations holds what is promised. Pure; times in seconds.

Promised is: no check that is asked after a revocation was acknowledged answers allow - at the
edge it went through at once, at every other one a second later, and anywhere at once when the
check asks for `fresh`. What was given again since is allowed again from when that was sent.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

LATER_ELSEWHERE = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """Something was given or taken.

    Attributes:
        edge: The one the change was sent to.
        acknowledged_at: Infinite when nobody ever said it was done.
    """

    gives: bool
    edge: int
    sent_at: float
    acknowledged_at: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """One check that answered allow."""

    target: Hashable
    edge: int
    fresh: bool
    asked_at: float
    answered_at: float


def stale(
    allowed: Iterable[Allowed],
    changes: Mapping[Hashable, Sequence[Change]],
    *,
    later_elsewhere: float = LATER_ELSEWHERE,
) -> list[tuple[Allowed, Change]]:
    """Return every answer that should not have been given, with the change it ignored.

    Args:
        changes: Of each target, in order; each was acknowledged before the next was sent.
    """
    return [
        (each, ignored)
        for each in allowed
        if (ignored := _ignored(each, changes.get(each.target, ()), later_elsewhere))
    ]


def _ignored(each: Allowed, changes: Sequence[Change], later_elsewhere: float) -> Change | None:
    """Return the last change that was to be known when this was asked, if it took."""
    known: Change | None = None
    for change in changes:
        if change.gives:
            if change.sent_at <= each.answered_at:
                known = None
            continue
        at_once = each.fresh or change.edge == each.edge
        in_force = change.acknowledged_at + (0.0 if at_once else later_elsewhere)
        if in_force <= each.asked_at:
            known = change
    return known
