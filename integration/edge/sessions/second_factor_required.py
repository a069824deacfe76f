"""Kratos' own answer to a session that must prove a second factor. Source: v1.3.1, running."""

import json
from urllib.parse import quote

from integration.edge.asgi import Answer, RawHeaders

CODE = "session_aal2_required"
_REASON = (
    "An active session was found but it does not fulfill the requested Authenticator Assurance "
    "Level. Please verify yourself with a second factor to resolve this issue."
)
_MESSAGE = "Session does not fulfill the requested Authenticator Assurance Level"
_FLOW = "/self-service/login/browser?aal=aal2"


def as_json(public_url: str) -> Answer:
    """Return the answer of `whoami`, `/sessions` and settings flows to scripts and native apps."""
    location = public_url.rstrip("/") + _FLOW
    error = {
        "id": CODE,
        "code": 403,
        "status": "Forbidden",
        "reason": _REASON,
        "details": {"redirect_browser_to": location},
        "message": _MESSAGE,
    }
    headers: RawHeaders = [
        (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
        (b"content-type", b"application/json"),
        (b"vary", b"Cookie"),
    ]
    body = {"error": error, "redirect_browser_to": location}
    return Answer(403, headers, json.dumps(body, separators=(",", ":")).encode())


def as_redirect(public_url: str, return_to: str) -> Answer:
    """Return the answer of a flow's start to a browser that was to be shown a page.

    Args:
        return_to: Where to go on afterwards.
    """
    location = f"{public_url.rstrip('/')}{_FLOW}&return_to={quote(return_to, safe='')}"
    headers: RawHeaders = [
        (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
        (b"location", location.encode()),
        (b"vary", b"Cookie"),
    ]
    return Answer(303, headers, b"")
