"""Checks of Ory's clients as they come over the wire: a query, or a body of JSON."""

import json
from typing import Any
from urllib.parse import parse_qsl

from policies.ory_checks import OryCheck, read_ory_check
from policies.permission_questions import MalformedError

DEPTH = "max-depth"
NOT_JSON = "malformed_body"
_SET = "subject_set."


def check_of_query(query: str) -> OryCheck:
    pairs = _pairs(query)
    depth = pairs.pop(DEPTH, None)
    subject_set = {
        name.removeprefix(_SET): value for name, value in pairs.items() if name.startswith(_SET)
    }
    members: dict[str, object] = {
        name: value for name, value in pairs.items() if not name.startswith(_SET)
    }
    if "subject_set" in members:
        raise MalformedError("member_unknown", "In an address a set is subject_set.namespace, ….")
    if subject_set:
        members["subject_set"] = subject_set
    return read_ory_check(members, depth)


def depth_of(query: str) -> str | None:
    pairs = _pairs(query)
    depth = pairs.pop(DEPTH, None)
    if pairs:
        raise MalformedError("member_unknown", "Beside a body the address only has max-depth.")
    return depth


def _pairs(query: str) -> dict[str, str]:
    """Return a query's names and values, if everybody reads the same ones."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError as error:
        raise MalformedError("ambiguous_query", "The address can be read in two ways.") from error
    names = dict(pairs)
    if ";" in query or len(names) != len(pairs):
        raise MalformedError("ambiguous_query", "The address can be read in two ways.")
    return names


def object_of(body: bytes) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(NOT_JSON, "The body is not JSON.") from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("ambiguous_body", "A name appears twice in the body.")
    return members
