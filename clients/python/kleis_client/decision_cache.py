"""Decisions that were given before: bounded, and forgotten by subject.

Nothing is searched when a subject's decisions go stale: the moment is noted, and what was asked
before it does not count any more. So an answer that was on its way meanwhile does not count either,
and neither does one asked for in the `SETTLE` seconds after, when another process of the issuer may
not have heard of the change yet.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from kleis_client.checks import Check, Decision

SETTLE = 2.0
"""Seconds. The issuer's processes hear of a change within one."""


class DecisionCache:
    """Remembers up to `size` decisions, each for at most `max_age` seconds, and none beyond the end
    that it names.

    Args:
        clock: Seconds since 1970. Ends are moments: the issuer's clock and this one must agree.
    """

    def __init__(
        self,
        size: int,
        max_age: float,
        timer: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._size, self._max_age, self._timer, self._clock = size, max_age, timer, clock
        self._kept: OrderedDict[Check, tuple[float, Decision]] = OrderedDict()
        self._stale_until: OrderedDict[str, float] = OrderedDict()
        self._all_stale_until = float("-inf")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, check: Check) -> Decision | None:
        with self._lock:
            found = self._kept.get(check)
            if found is None:
                return None
            asked_at, decision = found
            if not self._counts(check.subject, asked_at) or self._is_over(decision):
                del self._kept[check]
                return None
            self._kept.move_to_end(check)
            return decision

    def put(self, check: Check, decision: Decision, asked_at: float) -> None:
        """Remember a decision.

        Args:
            asked_at: When the question was sent, by the timer.
        """
        if not decision.may_be_kept or not check.may_be_kept:
            return
        with self._lock:
            if not self._counts(check.subject, asked_at):
                return
            self._kept[check] = (asked_at, decision)
            self._kept.move_to_end(check)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def forget(self, subject: str) -> None:
        """Let nothing count that is known about a subject."""
        with self._lock:
            now = self._timer()
            self._stale_until[subject] = now + SETTLE
            self._stale_until.move_to_end(subject)
            self._prune(now)

    def forget_all(self) -> None:
        """Let nothing count."""
        with self._lock:
            self._forget_all(self._timer())

    def _counts(self, subject: str, asked_at: float) -> bool:
        stale_until = max(self._stale_until.get(subject, float("-inf")), self._all_stale_until)
        return asked_at >= stale_until and self._timer() - asked_at <= self._max_age

    def _is_over(self, decision: Decision) -> bool:
        return decision.until is not None and self._clock() >= decision.until.timestamp()

    def _prune(self, now: float) -> None:
        """Drop notes that are older than anything that is kept; too many of them are all of us."""
        if len(self._stale_until) > self._size:
            self._forget_all(now)
        while self._stale_until:
            subject, stale_until = next(iter(self._stale_until.items()))
            if stale_until > now - self._max_age:
                break
            del self._stale_until[subject]

    def _forget_all(self, now: float) -> None:
        self._all_stale_until = now + SETTLE
        self._kept.clear()
        self._stale_until.clear()
