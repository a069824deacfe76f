"""Parent edges between objects of one kind: no circles, and no chain longer than Keto follows.

Keto ends both at its depth limit with a silent "no", a circle after work that doubles with each
level. So neither is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from policies.decisions import Deny, Reason

MAX_CHAIN = 5
"""Edges from an object to the furthest one above it. The model needs depth 7 for two of them and
one more for each further; `max_read_depth` in `keto/keto.yml` is 10."""

Edge: TypeAlias = tuple[str, str]
"""An object and one above it."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of one relation, such as `Channel#within`, as far as they matter to a change."""

    known: frozenset[Edge]

    def changed(self, *, add: Iterable[Edge], remove: Iterable[Edge]) -> "Edges":
        return Edges((self.known - frozenset(remove)) | frozenset(add))


def decide_edges(after: Edges, added: Iterable[Edge]) -> Deny | None:
    """Refuse what would close a circle or make a chain too long; None when neither happens.

    Args:
        after: The edges as they would be, at least everything within `MAX_CHAIN` steps above and
            below those that are added.
    """
    above = _by_object(after.known)
    below = _by_object({(parent, child) for child, parent in after.known})
    for child, parent in added:
        if child == parent or child in _reached(above, parent):
            return _deny("circle_refused", "An object would be above itself.")
        if _height(above, parent) + _height(below, child) + 1 > MAX_CHAIN:
            text = f"There may be {MAX_CHAIN} steps from an object to the highest one above it."
            return _deny("chain_too_long", text)
    return None


def _by_object(edges: Iterable[Edge]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, other in edges:
        found.setdefault(one, []).append(other)
    return found


def _reached(edges: Mapping[str, list[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += edges.get(name, [])
    return seen


def _height(edges: Mapping[str, list[str]], start: str) -> int:
    """Return the longest way from `start`, counted no further than it matters."""
    level, height = {start}, 0
    while height <= MAX_CHAIN:
        level = {other for name in level for other in edges.get(name, [])}
        if not level:
            return height
        height += 1
    return height


def _deny(code: str, text: str) -> Deny:
    return Deny((Reason(code, text),))
