"""Kept connections to one upstream, for small questions whose answers are read as a whole.

A general HTTP client costs an edge a tenth of a millisecond for each question, and several times
that when it has not been used for a while, as between logins; this costs a tenth of it. What is
streamed takes the general one (`http_client`).
"""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httptools

from integration.edge.asgi import RawHeaders
from integration.edge.problems import UPSTREAM_BROKEN, UPSTREAM_DOWN, UPSTREAM_TIMEOUT, RefusedError

_MOST = 128
# Shorter than any upstream keeps an idle connection.
_IDLE_SECONDS = 3.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_MAX_HEADER_BYTES = 65_536
_WITHOUT_BODY = frozenset({"GET", "OPTIONS"})


class BrokenAnswerError(Exception):
    """What came is no answer to a question, or too much of one."""


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Say of a question that fails inside why its request is refused.

    Raises:
        RefusedError: nobody answered, too late, or with more than can be judged.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise RefusedError(UPSTREAM_TIMEOUT) from error
    except OSError as error:
        raise RefusedError(UPSTREAM_DOWN) from error
    except BrokenAnswerError as error:
        raise RefusedError(UPSTREAM_BROKEN) from error


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An answer as it came, names of header fields included."""

    status: int
    headers: RawHeaders
    body: bytes


class UpstreamConnections:
    """Asks, over as few connections as that takes. `base` is the address, with any path."""

    def __init__(self, base: str, *, connect_seconds: float) -> None:
        split = urlsplit(base)
        self._tls = ssl.create_default_context() if split.scheme == "https" else None
        self._host = split.hostname or ""
        self._port = split.port or (443 if self._tls else 80)
        self._path = split.path.rstrip("/").encode("latin-1")
        user, at, authority = split.netloc.rpartition("@")
        self._common: RawHeaders = [(b"Host", authority.encode("latin-1"))]
        if at:
            given = base64.b64encode(unquote(user).encode())
            self._common.append((b"Authorization", b"Basic " + given))
        self._connect_seconds = connect_seconds
        self._slots = asyncio.Semaphore(_MOST)
        self._idle: list[_Connection] = []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def ask(
        self,
        method: str,
        target: str,
        fields: RawHeaders,
        body: bytes | None,
        *,
        may_repeat: bool,
    ) -> UpstreamAnswer:
        """Return the answer. Whoever gives up ends the connection, for its answer may still come.

        Args:
            method: Any but HEAD, whose answers have a length and no body.
            target: Path and query as they go over the wire, below the path of `base`.
            fields: Without `Host` and anything about the length.
            may_repeat: Ask again where a kept connection ended without a word.

        Raises:
            OSError: nobody is there (`ConnectError`), or it left.
            BrokenAnswerError: what came is no answer.
        """
        question = self._written(method, target, fields, body)
        async with self._slots:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._asked(kept, question)
                except ConnectionResetError:
                    # It was closed from the other side while nobody looked.
                    if not may_repeat:
                        raise
            return await self._asked(await self._opened(), question)

    async def _asked(self, connection: "_Connection", question: bytes) -> UpstreamAnswer:
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
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    _Connection, self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ConnectionRefusedError("no connection in time") from error
        return connection

    def _written(self, method: str, target: str, fields: RawHeaders, body: bytes | None) -> bytes:
        lines = [b"%b %b%b HTTP/1.1" % (method.encode(), self._path, target.encode("latin-1"))]
        given = {name.lower() for name, _ in fields}
        common = [field for field in self._common if field[0].lower() not in given]
        lines += [b"%b: %b" % field for field in (*common, *fields)]
        if body or method not in _WITHOUT_BODY:
            lines.append(b"Content-Length: %d" % len(body or b""))
        head = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks or " " in target:
            raise ValueError("a question that could be read as another one")
        return b"%b\r\n\r\n%b" % (head, body or b"")


class _Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[UpstreamAnswer] | None = None
        self._headers: RawHeaders = []
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._has_begun = self._has_header = False
        self.used_at = time.monotonic()

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, question: bytes) -> UpstreamAnswer:
        """Return the answer.

        Raises:
            ConnectionResetError: it was closed before any of the answer came.
            BrokenAnswerError: what came is no answer.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._pieces, self._bytes = [], [], 0
        self._has_begun = self._has_header = False
        self._transport.write(question)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of TCP

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is None and self._has_header and self._ends_with_connection():
            self._complete()
        self._fail(BrokenAnswerError() if self._has_begun else ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nothing was asked.
            self.close()
            return
        self._has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._broken()

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            # A second answer to one question.
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_header:
            # What comes behind the body is nobody's.
            self._count(len(name) + len(value), MAX_ANSWER_BYTES)
            return
        self._count(len(name) + len(value), _MAX_HEADER_BYTES)
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._has_header, self._bytes = True, 0

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._count(len(body), MAX_ANSWER_BYTES)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            # "Continue" and the like: the answer follows.
            self._headers, self._has_header = [], False
            return
        self.used_at = time.monotonic()
        if not self._parser.should_keep_alive():
            self.close()
        self._complete()

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            status, body = self._parser.get_status_code(), b"".join(self._pieces)
            self._answer.set_result(UpstreamAnswer(status, self._headers, body))

    def _ends_with_connection(self) -> bool:
        names = {name.lower() for name, _ in self._headers}
        return names.isdisjoint((b"content-length", b"transfer-encoding"))

    def _count(self, more: int, most: int) -> None:
        self._bytes += more
        if self._bytes > most:
            self._broken()

    def _broken(self) -> None:
        self._fail(BrokenAnswerError())
        self.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
