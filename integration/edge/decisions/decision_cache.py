"""Remembered decisions, within a bound of memory. Knows no clock and calls nobody.

An entry is true for the epochs it was made at. Nothing is searched for when an epoch moves: an
entry of another epoch is not found, and gives way to what is used.
"""

import sys
from collections import OrderedDict
from typing import NamedTuple

from policies.permission_questions import Epochs, Question

# Beside the text of subject and object: the question, its names, epochs, the entry, its share of
# the dictionary, also while that grows. Compared with what Python says by a test.
_ENTRY_BYTES = 560


class Remembered(NamedTuple):
    """What Keto said.

    Attributes:
        asked_at: Of the clock that `get` is given, in seconds.
    """

    allowed: bool
    epochs: Epochs
    asked_at: float


class DecisionCache:
    """The decisions used last. `max_bytes` bounds what all of them take in memory."""

    def __init__(self, *, max_bytes: int, lifetime_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._lifetime = lifetime_seconds
        self._entries: OrderedDict[Question, Remembered] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(
        self, question: Question, epochs: Epochs, now: float, *, grace: float = 0.0
    ) -> bool | None:
        """Return what was decided at these epochs and is not older than its lifetime; or None.

        Args:
            grace: Seconds beyond the lifetime.
        """
        found = self._entries.get(question)
        if found is None or found.epochs != epochs:
            return None
        if now - found.asked_at >= self._lifetime + grace:
            return None
        self._entries.move_to_end(question)
        return found.allowed

    def put(self, question: Question, remembered: Remembered) -> None:
        """Remember a decision, in place of those not used for longest."""
        if self._entries.pop(question, None) is None:
            self.bytes += _size(question)
        self._entries[question] = remembered
        while self.bytes > self._max_bytes:
            forgotten, _ = self._entries.popitem(last=False)
            self.bytes -= _size(forgotten)

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0


def _size(question: Question) -> int:
    return _ENTRY_BYTES + sys.getsizeof(question.subject) + sys.getsizeof(question.object)
