"""Answers the edge gives by itself: problem details, Ory's error shape, a small page.

On Ory's paths one body is both: the members of RFC 9457 and Ory's `error`, so that neither
kind of client needs to know who refused.
"""

import html
import json
from dataclasses import dataclass
from http import HTTPStatus

from integration.edge.asgi import Answer, RawHeaders

_OURS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PAGE_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the edge does not pass on an answer of somebody else.

    Attributes:
        status: HTTP status, 400 or above.
        code: Stable name, snake case; the problem's type is `urn:kleis:problem:<code>`.
        sentence: One sentence for whoever reads it; names no host, no path, no trait.
        headers: Header fields that belong to it, such as `retry-after`.
        instead: The whole answer, where Kratos' clients know one for this.
    """

    status: int
    code: str
    sentence: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    instead: Answer | None = None


class RefusedError(Exception):
    """Carries a refusal to where answers are sent."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


SOON = ((b"retry-after", b"1"),)

UPSTREAM_DOWN = Refusal(
    503, "upstream_unavailable", "A part of this service is not reachable. Try again.", SOON
)
UPSTREAM_TIMEOUT = Refusal(
    504, "upstream_timeout", "A part of this service took too long to answer."
)
UPSTREAM_BROKEN = Refusal(502, "upstream_failed", "A part of this service gave no usable answer.")
UPSTREAM_TEMPORARY = Refusal(
    503, "temporarily_unavailable", "This cannot be done right now. Try again.", SOON
)
DATABASE_DOWN = Refusal(
    503, "database_unavailable", "This cannot be decided right now. Try again.", SOON
)
BUSY = Refusal(503, "busy", "Somebody else is changing this account. Try again.", SOON)
BODY_TOO_LARGE = Refusal(413, "body_too_large", "The request body is too large.")
BODY_TOO_SLOW = Refusal(408, "body_too_slow", "The request body took too long to arrive.")
HEADERS_TOO_LARGE = Refusal(431, "headers_too_large", "The request header is too large.")
NOT_FOUND = Refusal(404, "not_found", "There is nothing at this address.")
INTERNAL = Refusal(500, "internal", "Something went wrong here.")


def method_not_allowed(allowed: tuple[str, ...]) -> Refusal:
    """Refuse a method; `allowed` is told, as RFC 9110 section 15.5.6 asks."""
    return Refusal(
        405,
        "method_not_allowed",
        "This method is not offered at this address.",
        ((b"allow", ", ".join(allowed).encode()),),
    )


def problem(refusal: Refusal, *, on_ory_path: bool) -> Answer:
    """Return a refusal as JSON."""
    title = HTTPStatus(refusal.status).phrase
    body: dict[str, object] = {
        "type": f"urn:kleis:problem:{refusal.code}",
        "title": title,
        "status": refusal.status,
        "detail": refusal.sentence,
    }
    if on_ory_path:
        body["error"] = {
            "id": refusal.code,
            "code": refusal.status,
            "status": title,
            "message": refusal.sentence,
            "reason": refusal.sentence,
        }
    headers = [(b"content-type", b"application/problem+json"), *refusal.headers, *_OURS]
    return Answer(refusal.status, headers, json.dumps(body).encode())


def page(refusal: Refusal) -> Answer:
    """Return a refusal for somebody who looks at it in a browser."""
    title = HTTPStatus(refusal.status).phrase
    return html_page(
        refusal.status,
        title,
        f"<p>{html.escape(refusal.sentence)}</p>",
        list(refusal.headers),
    )


def html_page(status: int, title: str, content: str, headers: RawHeaders) -> Answer:
    """Return a plain page; `content` is HTML already."""
    heading = html.escape(title)
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{heading}</title>'
        '<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark}'
        "body{font:1rem/1.5 system-ui;margin:10vh auto;max-width:34rem;padding:0 1rem}</style>"
        f"<h1>{heading}</h1>{content}"
    )
    fields = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", _PAGE_POLICY),
        *headers,
        *_OURS,
    ]
    return Answer(status, fields, text.encode())


def json_answer(status: int, body: object, headers: RawHeaders | None = None) -> Answer:
    """Return an answer of ours in JSON."""
    fields = [(b"content-type", b"application/json"), *(headers or []), *_OURS]
    return Answer(status, fields, json.dumps(body).encode())
