"""Statements with psycopg's placeholders, as PostgreSQL numbers them.

`%(name)s` reads better than `$7` in a statement with twelve values, and the edge's batches, which
psycopg writes, have the same.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

Values: TypeAlias = Sequence[Any] | dict[str, Any]
"""By number (`%s`), or by name (`%(name)s`)."""

_PLACE = re.compile(r"%s|%\((\w+)\)s")


def numbered(statement: str, values: Values) -> tuple[str, Sequence[Any]]:
    """Return a statement with `$1` for its first placeholder, and its values in that order.

    Raises:
        KeyError: a name has no value.
    """
    text, names = _read(statement)
    if isinstance(values, dict):
        return text, [values[name] for name in names]
    return text, values


# The edge's statements are constants, some fifty.
@lru_cache(256)
def _read(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return a numbered statement, and what is named in it, each once."""
    names: dict[str, int] = {}
    count = 0

    def number(place: re.Match[str]) -> str:
        nonlocal count
        if place[1] is None:
            count += 1
            return f"${count}"
        return f"${names.setdefault(place[1], len(names) + 1)}"

    text = _PLACE.sub(number, statement)
    return text, tuple(names)
