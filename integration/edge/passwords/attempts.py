"""The id under which a password was judged, on its way to our hook and nowhere else.

Kratos hands the address of a submit to its hooks (`ctx.request_url`, all forms, v1.3.1) and
copies it into flows it makes on the way (`request_url`, `return_to`).
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from integration.edge.asgi import Answer

_NAME = "kleis_attempt"
# Plain, inside another address, and as Go escapes `&` in JSON.
_TRACE = re.compile(rb"(?:[?&]|\\u0026|%26|%3F)kleis_attempt(?:=|%3D)[0-9a-f]{32}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PasswordAttempt:
    """One password that was judged.

    Attributes:
        id: 128 random bits.
        other_body: What is sent on instead of the client's body; None: that is.
    """

    id: UUID
    other_body: bytes | None = None

    @property
    def is_accepted(self) -> bool:
        return self.other_body is None

    def query(self, given: str) -> str:
        """Return the query to send on."""
        own = f"{_NAME}={self.id.hex}"
        return f"{given}&{own}" if given else own


def new_id() -> UUID:
    return UUID(bytes=secrets.token_bytes(16))


def with_another_password(fields: Mapping[str, Any], *, is_json: bool) -> bytes:
    """Return a submit's body with a password that nobody knows.

    A refused password goes no further than here; the hook refuses whatever is sent in its place.
    So nobody stores it, and Kratos' own checks do not speak before our reasons.
    """
    changed = {**fields, "password": f"Zq9!{secrets.token_urlsafe(36)}"}
    return (json.dumps(changed) if is_json else urlencode(changed)).encode()


def scrubbed(answer: Answer) -> Answer:
    """Return an answer without any trace of an attempt id."""
    name = _NAME.encode()
    if name not in answer.body and all(name not in value for _, value in answer.headers):
        return answer
    headers = [(field, _TRACE.sub(b"", value)) for field, value in answer.headers]
    return Answer(answer.status, headers, _TRACE.sub(b"", answer.body))
