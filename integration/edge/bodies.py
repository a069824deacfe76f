"""Request bodies, read within a bound: as a whole, or piece by piece on their way up."""

import asyncio
from collections.abc import AsyncIterator

from integration.edge.asgi import RawHeaders, Receive, header
from integration.edge.problems import BODY_TOO_LARGE, RefusedError

# What is read and thrown away so that a client that sends first and listens later gets to
# read its 413 instead of a broken connection.
_DRAIN_BYTES = 32 * 1024 * 1024
_DRAIN_SECONDS = 2.0


class ClientGoneError(Exception):
    """The client closed the connection."""


class RequestBody:
    """The body of one request. Can be read once.

    Attributes:
        declared_bytes: What `Content-Length` says, or None.
        is_expected: Whether there is a body at all.
        too_large: Set when the bound was passed while streaming.
        client_left: Set when the client closed the connection while sending.
    """

    def __init__(self, receive: Receive, headers: RawHeaders, *, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._started = False
        length = header(headers, b"content-length")
        is_chunked = header(headers, b"transfer-encoding") is not None
        # RFC 9112, section 6.3: next to Transfer-Encoding a length means nothing. Passed on, it
        # would cut the next request out of this body.
        is_said = length is not None and length.isdecimal() and not is_chunked
        self.declared_bytes = int(length) if length is not None and is_said else None
        self.is_expected = bool(self.declared_bytes) or is_chunked
        self._waits_for_continue = header(headers, b"expect") is not None
        self.too_large = False
        self.client_left = False
        self.finished = not self.is_expected

    def refuse_if_declared_too_large(self) -> None:
        """Refuse by `Content-Length` alone.

        Raises:
            RefusedError: it says more than the bound.
        """
        if self.declared_bytes is not None and self.declared_bytes > self._max_bytes:
            self.too_large = True
            raise RefusedError(BODY_TOO_LARGE)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            RefusedError: more bytes came than the bound.
            ClientGoneError: the client left before the end.
        """
        if self._started:
            # A second attempt of the HTTP client would send an empty body.
            raise ClientGoneError
        self._started = True
        total = 0
        while not self.finished:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.client_left = True
                raise ClientGoneError
            piece: bytes = message.get("body", b"")
            total += len(piece)
            self.finished = not message.get("more_body", False)
            if total > self._max_bytes:
                self.too_large = True
                raise RefusedError(BODY_TOO_LARGE)
            if piece:
                yield piece

    async def read(self) -> bytes:
        """Return the whole body. Raises as `pieces` does."""
        return b"".join([piece async for piece in self.pieces()])

    async def drain(self) -> None:
        """Throw away what still comes, up to a bound in bytes and time."""
        if self._waits_for_continue:
            return
        total = 0
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.finished and total < _DRAIN_BYTES:
                    message = await self._receive()
                    total += len(message.get("body", b""))
                    gone = message["type"] == "http.disconnect"
                    self.finished = gone or not message.get("more_body", False)
        except TimeoutError:
            return

    async def until_client_leaves(self) -> None:
        """Return when the client closed the connection. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
