"""The parts of the ASGI interface used here. Source: asgi.readthedocs.io, HTTP and lifespan."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, header names in lower case."""

    status: int
    headers: RawHeaders
    body: bytes


def header(headers: RawHeaders, name: bytes) -> str | None:
    """Return the first header of this lower-case name, or None."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


class Reply:
    """The answer to one request, on its way out.

    Attributes:
        status: What was sent; 0 before anything was.
    """

    def __init__(self, send: Send, extra: RawHeaders) -> None:
        self._send = send
        self._extra = extra
        self.status = 0

    async def begin(self, status: int, headers: RawHeaders) -> None:
        self.status = status
        fields = [*headers, *self._extra]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def piece(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": body})

    async def whole(self, answer: Answer, *, closing: bool = False) -> None:
        """Send a whole answer; `closing` ends the connection after it."""
        fields = [*answer.headers]
        if answer.status not in (204, 304):
            fields.append((b"content-length", str(len(answer.body)).encode()))
        if closing:
            fields.append((b"connection", b"close"))
        await self.begin(answer.status, fields)
        await self.end(answer.body)
