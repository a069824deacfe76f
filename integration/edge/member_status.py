"""Whether a Kratos session still means something: our state of the member decides."""

import json
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.database import Database

_STATEMENT = "SELECT status FROM members WHERE identity_id = %s"
IDENTITY_HEADER = b"x-kratos-authenticated-identity-id"


async def is_active(database: Database, identity_id: str | None) -> bool:
    """Tell whether the member may have a session.

    Raises:
        RefusedError: the database does not answer: nobody is let in on a guess.
    """
    try:
        known = UUID(identity_id or "")
    except ValueError:
        return False
    row = await database.row(_STATEMENT, (known,))
    return row is not None and row[0] == "active"


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
