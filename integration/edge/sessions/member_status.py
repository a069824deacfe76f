"""Kratos' own answer to whoever has no session, or may not have one."""

import json

from integration.edge.asgi import Answer

IDENTITY_HEADER = b"x-kratos-authenticated-identity-id"


def no_session(request_id: str) -> Answer:
    """Return Kratos' own answer to whoever has no session. Source: v1.3.1, running."""
    error = {
        "code": 401,
        "status": "Unauthorized",
        "request": request_id,
        "reason": "No valid session credentials found in the request.",
        "message": "The request could not be authorized",
    }
    headers = [
        (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
        (b"content-type", b"application/json"),
        (b"vary", b"Cookie"),
    ]
    return Answer(401, headers, json.dumps({"error": error}, separators=(",", ":")).encode())
