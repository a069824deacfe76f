"""Where Kratos' own answers break its clients, put right.

Each repair is listed in `docs/compatibility.md`. Source: the running server, v1.3.1.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from integration.edge.asgi import Answer, RawHeaders, header
from integration.edge.headers import upwards
from integration.edge.requests import Request

_CALLBACK = "/self-service/methods/"
_NO_NODES = b'"nodes":null'
_NATIVE = b'"type":"api"'


def of_self_service(request: Request, answer: Answer) -> Answer:
    """Return an answer of a self-service path as Kratos' clients need it."""
    if not (header(answer.headers, b"content-type") or "").startswith("application/json"):
        return answer
    body = answer.body
    if request.path.startswith(_CALLBACK):
        body = _first_document(body)
    if _NO_NODES in body:
        body = _with_nodes(body)
    headers = answer.headers
    if _is_native(request, body):
        headers = [field for field in headers if field[0] != b"set-cookie"]
    return Answer(answer.status, headers, body)


def of_creation(answer: Answer, public_url: str) -> Answer:
    """Return the answer to a new identity with an address that leads to it.

    Kratos leaves `/admin` out, and names the host it believes to have.
    """
    location = header(answer.headers, b"location")
    if answer.status != 201 or location is None:
        return answer
    path = urlsplit(location).path
    if not path.startswith("/admin/"):
        path = f"/admin{path}"
    headers: RawHeaders = [field for field in answer.headers if field[0] != b"location"]
    headers.append((b"location", f"{public_url.rstrip('/')}{path}".encode()))
    return Answer(answer.status, headers, answer.body)


def _is_native(request: Request, body: bytes) -> bool:
    """Tell whether this is a native flow shown to a client without cookies.

    Kratos sets its CSRF cookie even then, and refuses every native submit that has a cookie: a
    client that keeps cookies would shut itself out.
    """
    if any(name == b"cookie" for name, _ in _as_kratos_saw_them(request)):
        return False
    return request.path.endswith("/api") or (_NATIVE in body and _type_of(body) == "api")


def _as_kratos_saw_them(request: Request) -> RawHeaders:
    return upwards(request.headers, keep_our_cookies=False, drop_credentials=False)


def _type_of(body: bytes) -> Any:
    document = _loaded(body)
    return document.get("type") if isinstance(document, dict) else None


def _with_nodes(body: bytes) -> bytes:
    """Return a flow whose `ui.nodes` is a list: SDKs refuse the null of a second-factor flow of
    somebody who has no second factor."""
    document = _loaded(body)
    ui = document.get("ui") if isinstance(document, dict) else None
    if not isinstance(ui, dict) or ui.get("nodes", ()) is not None:
        return body
    ui["nodes"] = []
    return json.dumps(document, separators=(",", ":")).encode()


def _first_document(body: bytes) -> bytes:
    """Return the first of two JSON documents in one body: the flow; the other is an error about
    Kratos having answered twice."""
    try:
        text = body.decode("utf-8").lstrip()
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return body
    return text[:end].encode() if text[end:].strip() else body


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
