"""Reading the body of a self-service submit the way Kratos will, or refusing it.

Of a repeated JSON name Kratos takes the last, of a repeated form field the first; JSON names
match its fields in any case. Whatever could be read in two ways is refused, so that a guard
judges the same password that Kratos stores. Source: the running server, v1.3.1; Go's
`encoding/json` (names are matched ignoring case, with Unicode folding).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from integration.edge.asgi import RawHeaders
from integration.edge.problems import Refusal, RefusedError

AMBIGUOUS_BODY = Refusal(400, "ambiguous_body", "A name in the body can be read in two ways.")
MALFORMED_BODY = Refusal(400, "malformed_body", "The body is not what its Content-Type says.")
UNSUPPORTED_BODY = Refusal(
    415,
    "unsupported_media_type",
    "A form is submitted as application/json or application/x-www-form-urlencoded.",
)

_MAX_FIELDS = 256
_JSON = re.compile(r"application/json\s*(;[^,]*)?\Z", re.IGNORECASE)
_FORM = re.compile(r"application/x-www-form-urlencoded\s*(;[^,]*)?\Z", re.IGNORECASE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPED_NUL = rb"\u0000"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read_fields(headers: RawHeaders, body: bytes) -> Mapping[str, Any]:
    """Return the fields of a submit; form fields have text values, `traits.email` as name.

    Raises:
        RefusedError: another type than JSON or a form, broken, or open to two readings.
    """
    kinds = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    if not body and not kinds:
        return {}
    if len(kinds) != 1:
        raise RefusedError(UNSUPPORTED_BODY)
    if _JSON.match(kinds[0]):
        return _read_json(body)
    if _FORM.match(kinds[0]):
        return _read_form(body)
    raise RefusedError(UNSUPPORTED_BODY)


def _read_json(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise RefusedError(MALFORMED_BODY) from error
    if not isinstance(value, dict) or _has_half_characters(body, value):
        raise RefusedError(MALFORMED_BODY)
    if any(name != name.casefold() for name in value):
        raise RefusedError(AMBIGUOUS_BODY)
    # As itself it is no JSON.
    if _ESCAPED_NUL in body and _has_nul(value):
        raise RefusedError(MALFORMED_BODY)
    return value


def _has_half_characters(body: bytes, value: dict[str, Any]) -> bool:
    """Tell whether an escape stands for half a character: Go reads each as the same U+FFFD."""
    if not _SURROGATE.search(body):
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _has_nul(value: object) -> bool:
    """Tell of a character that PostgreSQL cannot store: Kratos would answer with a 500."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item
    return False


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise RefusedError(AMBIGUOUS_BODY)
    return names


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_form(body: bytes) -> Mapping[str, str]:
    try:
        text = body.decode("ascii")
        if _BAD_ESCAPE.search(text) or ";" in text:
            raise RefusedError(MALFORMED_BODY)
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise RefusedError(MALFORMED_BODY) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RefusedError(AMBIGUOUS_BODY)
    if _has_nul(fields):
        raise RefusedError(MALFORMED_BODY)
    return fields
