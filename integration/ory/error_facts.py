"""What may be said of an error of Kratos or Keto: what it is called, never its words.

Their sentences quote what they were sent: an address that is taken, a token, a tuple.
"""

import json
import re
from typing import Any

import httpx

_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}\Z")
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
# How the database calls an error, among the words: `(SQLSTATE 40P01)`.
_SQLSTATE = re.compile(rb"SQLSTATE[ =]([0-9A-Z]{5})\b")
_LONGEST = 65_536


def said(response: httpx.Response) -> str:
    """Return status, code, id, request id and SQLSTATE of an answer, as far as it has them.

    Source: Ory's error body, `{"error": {"id", "code", "status", "request", "reason", ...}}`; see
    `genericError` and `errorGeneric` in the API descriptions of Kratos v1.3.1 and Keto v0.13.
    """
    error = _error_in(response)
    facts = [str(response.status_code)]
    code, name = error.get("code"), error.get("id")
    if type(code) is int and code != response.status_code:
        facts.append(f"code={code}")
    if isinstance(name, str) and _NAME.match(name):
        facts.append(f"id={name}")
    request = error.get("request") or response.headers.get("x-request-id")
    if isinstance(request, str) and _REQUEST_ID.match(request):
        facts.append(f"request={request}")
    if state := _SQLSTATE.search(response.content[:_LONGEST]):
        facts.append(f"sqlstate={state[1].decode()}")
    return " ".join(facts)


def _error_in(response: httpx.Response) -> dict[str, Any]:
    if len(response.content) > _LONGEST:
        return {}
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    found = document.get("error") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
