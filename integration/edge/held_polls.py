"""Requests that are held until something happens: only so many at once, and only so many of one.

Each takes a place for as long as its client likes. One too many is not refused: it is answered as
things are now, as if it had not asked to be held.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class HeldPolls:
    """Counts those that are held."""

    def __init__(self, *, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._held: Counter[str | bytes] = Counter()

    @contextmanager
    def place(self, who: str | bytes) -> Iterator[bool]:
        """Give whether there is a place for one more of `who`; it is taken meanwhile."""
        has_place = self._held.total() < self._most and self._held[who] < self._most_each
        if not has_place:
            yield False
            return
        self._held[who] += 1
        try:
            yield True
        finally:
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]
