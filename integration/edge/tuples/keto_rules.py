"""What Keto v0.13 leaves open, closed: unbounded lists, bad tokens, a 404 that says 200.

Source: the running server, v0.13.0-alpha.0. Later versions have opaque page tokens, so only
the 500 that a bad token causes here is turned round, never a token refused beforehand.
"""

import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from integration.edge.asgi import Answer
from integration.edge.problems import Refusal, RefusedError, json_answer

MAX_PAGE_SIZE = 500
MAX_BATCH = 1000

FILTER_REQUIRED = Refusal(
    400, "filter_required", "Name a namespace or a subject: everything at once is not listed."
)
BAD_PAGE_SIZE = Refusal(400, "page_size_malformed", "page_size is a number from 0.")
BAD_DEPTH = Refusal(400, "max_depth_malformed", "max-depth is a number from 1.")
BAD_PAGE_TOKEN = Refusal(400, "page_token_malformed", "This page_token is not one of ours.")
AMBIGUOUS = Refusal(400, "ambiguous_query", "The address can be read in two ways.")
BAD_BATCH = Refusal(
    400, "malformed_body", f'The body is {{"tuples": [...]}} with at most {MAX_BATCH} tuples.'
)

_ASKED = "/relation-tuples/"
_DEPTH = "max-depth"
_FILTERS = ("namespace", "subject_id", "subject_set.namespace")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNKNOWN = "The permission could not be checked."


def bounded_list_query(query: str) -> str:
    """Return the query of a tuple list with its page size bounded.

    Raises:
        RefusedError: no filter, a repeated name, or a page size that is no number.
    """
    if ";" in query or _BROKEN_ESCAPE.search(query):
        # Keto's parser drops such a pair: the filter seen here would not be there.
        raise RefusedError(AMBIGUOUS)
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise RefusedError(AMBIGUOUS)
    if not any(values.get(name) for name in _FILTERS):
        raise RefusedError(FILTER_REQUIRED)
    size = values.get("page_size", "")
    if size == "":
        return query
    if not (size.isascii() and size.isdecimal() and len(size) < 10):
        raise RefusedError(BAD_PAGE_SIZE)
    if int(size) <= MAX_PAGE_SIZE:
        return query
    return urlencode({**values, "page_size": str(MAX_PAGE_SIZE)})


def depth_fault(path: str, query: str) -> Refusal | None:
    """Return why the depth that a check or an expansion asks for is refused.

    Keto takes 0 and less for its own limit: whoever asks for nothing would get the most.
    """
    if not path.startswith(_ASKED) or not query:
        return None
    depths = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == _DEPTH]
    for depth in depths:
        if not (depth.isascii() and depth.isdecimal() and len(depth) < 10 and int(depth) > 0):
            return BAD_DEPTH
    return AMBIGUOUS if len(depths) > 1 else None


def has_odd_page_token(query: str) -> bool:
    """Tell whether a 500 for this list is the page token's fault."""
    token = dict(parse_qsl(query)).get("page_token", "")
    return bool(token) and not _UUID.match(token)


def true_status(answer: Answer) -> Answer:
    """Return `expand`'s answer with the status that its body speaks of."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return answer
    if not isinstance(document, dict) or answer.status != 200:
        return answer
    code = document.get("code") or (document.get("error") or {}).get("code")
    if not isinstance(code, int) or not 400 <= code < 500:
        return answer
    error = document.get("error") or {
        "code": code,
        "status": HTTPStatus(code).phrase,
        "message": document.get("message") or HTTPStatus(code).phrase,
    }
    return json_answer(code, {"error": error})


def verdict(status: int, body: bytes) -> dict[str, Any]:
    """Return Ory's batch result for one check: only a 200 with a boolean decides."""
    try:
        document = json.loads(body)
    except ValueError:
        return unknown_verdict()
    if not isinstance(document, dict):
        return unknown_verdict()
    allowed = document.get("allowed")
    if status == 200 and isinstance(allowed, bool):
        return {"allowed": allowed}
    error = document.get("error")
    if 400 <= status < 500 and isinstance(error, dict):
        reason = error.get("reason") or error.get("message")
        return {"allowed": False, "error": str(reason or _UNKNOWN)}
    return unknown_verdict()


def unknown_verdict() -> dict[str, Any]:
    """Return the result of a check nobody answered."""
    return {"allowed": False, "error": _UNKNOWN}
