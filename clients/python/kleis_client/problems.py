"""How an error becomes an answer: problem details (RFC 9457) and the challenge of RFC 6750."""

import json
from dataclasses import dataclass
from http import HTTPStatus

from kleis_client.errors import (
    KleisClientError,
    PermissionDeniedError,
    TokenError,
    TokenMissingError,
    UndecidedError,
)

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:kleis:problem:"
_STATUS_OF = ((TokenError, 401), (PermissionDeniedError, 403), (UndecidedError, 503))


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that refuses.

    Attributes:
        headers: Fields, `content-type` and `content-length` among them.
    """

    status: int
    detail: str
    headers: dict[str, str]
    body: bytes


def problem_of(error: KleisClientError) -> Problem:
    """Return the answer to a request that failed with `error`.

    An error of another kind than a refusal is a 500 that tells nothing.
    """
    status = next((code for kind, code in _STATUS_OF if isinstance(error, kind)), 500)
    detail = str(error.args[0]) if status != 500 else "Something went wrong here."
    content = {
        "type": TYPE + (error.code if status != 500 else "internal"),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    body = json.dumps(content).encode()
    headers = {
        "content-type": CONTENT_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **_challenge(error, detail),
    }
    return Problem(status, detail, headers, body)


def _challenge(error: KleisClientError, detail: str) -> dict[str, str]:
    if isinstance(error, TokenMissingError):
        # RFC 6750, section 3.1: who sent no token is told nothing about errors.
        return {"www-authenticate": "Bearer"}
    if isinstance(error, TokenError):
        challenge = f'Bearer error="invalid_token", error_description="{detail}"'
        return {"www-authenticate": challenge}
    if isinstance(error, PermissionDeniedError):
        return {"www-authenticate": 'Bearer error="insufficient_scope"'}
    return {"retry-after": "1"} if isinstance(error, UndecidedError) else {}
