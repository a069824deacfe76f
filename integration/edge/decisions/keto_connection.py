"""Kept connections to Keto's read port, over which nothing but questions goes.

A general HTTP client costs an edge about a tenth of a millisecond for each question, a tenth of
what Keto needs to answer it; this costs a tenth of that. A question may be asked twice.
"""

import asyncio
import base64
import ssl
import time
from urllib.parse import unquote, urlsplit

import httptools

_MOST = 128
# Shorter than any upstream keeps an idle connection.
_IDLE_SECONDS = 3.0
_MAX_ANSWER_BYTES = 8 * 1024 * 1024


class BrokenAnswerError(Exception):
    """What came is no answer to a question, or too much of one."""


class KetoConnections:
    """Asks, over as few connections as that takes. `base` is the port's address, with any path."""

    def __init__(self, base: str, *, connect_seconds: float) -> None:
        split = urlsplit(base)
        self._tls = ssl.create_default_context() if split.scheme == "https" else None
        self._host = split.hostname or ""
        self._port = split.port or (443 if self._tls else 80)
        self._path = split.path.rstrip("/")
        user, at, authority = split.netloc.rpartition("@")
        self._common = f"Host: {authority}\r\nAccept: application/json\r\n"
        if at:
            given = base64.b64encode(unquote(user).encode()).decode()
            self._common += f"Authorization: Basic {given}\r\n"
        self._connect_seconds = connect_seconds
        self._slots = asyncio.Semaphore(_MOST)
        self._idle: list[_Connection] = []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def ask(self, target: str, body: bytes | None) -> tuple[int, bytes]:
        """Return status and body; a GET without a body. Whoever gives up ends the connection, for
        its answer may still come.

        Raises:
            OSError: nobody is there, or it left.
            BrokenAnswerError: what came is no answer.
        """
        question = self._written(target, body)
        async with self._slots:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._asked(kept, question)
                except ConnectionResetError:
                    # It was closed from the other side while nobody looked.
                    pass
            return await self._asked(await self._opened(), question)

    async def _asked(self, connection: "_Connection", question: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(question)
        except BaseException:
            connection.close()
            raise
        if connection.is_usable:
            self._idle.append(connection)
        return answer

    def _kept(self) -> "_Connection | None":
        """Return the connection used last; what was idle for long is closed."""
        oldest = time.monotonic() - _IDLE_SECONDS
        while self._idle and (self._idle[0].used_at < oldest or not self._idle[0].is_usable):
            self._idle.pop(0).close()
        while self._idle:
            last = self._idle.pop()
            if last.is_usable:
                return last
        return None

    async def _opened(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            _, connection = await loop.create_connection(
                _Connection, self._host, self._port, ssl=self._tls
            )
        return connection

    def _written(self, target: str, body: bytes | None) -> bytes:
        method = "GET" if body is None else "POST"
        head = f"{method} {self._path}{target} HTTP/1.1\r\n{self._common}"
        if body is None:
            return f"{head}\r\n".encode("latin-1")
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + length).encode("latin-1") + body


class _Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._has_begun = False
        self.used_at = time.monotonic()

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, question: bytes) -> tuple[int, bytes]:
        """Return status and body.

        Raises:
            ConnectionResetError: it was closed before any of the answer came.
            BrokenAnswerError: what came is no answer.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._pieces, self._bytes, self._has_begun = [], 0, False
        self._transport.write(question)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of TCP

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(BrokenAnswerError() if self._has_begun else ConnectionResetError())
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nothing was asked.
            self.close()
            return
        self._has_begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(BrokenAnswerError())
            self.close()

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            # A second answer to one question.
            self.close()

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._bytes += len(body)
        if self._bytes > _MAX_ANSWER_BYTES:
            self._fail(BrokenAnswerError())
            self.close()

    def on_message_complete(self) -> None:
        self.used_at = time.monotonic()
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._pieces)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
