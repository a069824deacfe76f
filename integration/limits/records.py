"""The bytes of one counter, as `limiter.lua` writes them: little-endian, 48-bit milliseconds."""

import struct

from policies.limits import MARK_BYTES, Record, Rule

_HEAD = struct.Struct("<6sBHH")
_MOMENT = 6


def unpack(rule: Rule, value: bytes) -> Record:
    """Read one counter.

    Raises:
        struct.error: it is shorter than its own head.
    """
    blocked, level, failures, leases = _HEAD.unpack_from(value)
    at = _HEAD.size
    moments, at = _moments(value, at, failures)
    marks: list[bytes] = []
    if rule.keep:
        marks = [value[at + i * MARK_BYTES :][:MARK_BYTES] for i in range(failures)]
        at += failures * MARK_BYTES
    running, _ = _moments(value, at, leases)
    return Record(int.from_bytes(blocked, "little"), level, moments, marks, running)


def _moments(value: bytes, at: int, count: int) -> tuple[list[int], int]:
    end = at + count * _MOMENT
    places = range(at, end, _MOMENT)
    return [int.from_bytes(value[i : i + _MOMENT], "little") for i in places], end
