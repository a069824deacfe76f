"""JSON as one reads it from strangers: no name twice, no huge number, no NaN, no deep nesting."""

import json
import math
from typing import Any

_LONGEST_NUMBER = 17
"""Characters; enough for every integer that is exact in all JSON readers, 2**53."""


def loads(data: bytes) -> Any:
    """Return what `data` says in UTF-8.

    Raises:
        ValueError: If it is not JSON, or JSON that two readers could read differently.
    """
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a huge number")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a huge number")
    return number


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
