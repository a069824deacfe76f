"""One connection to Valkey on which questions do not wait for each other's answers.

redis-py borrows a connection for each question: two hundred logins at once would open two hundred,
or queue. Here they are written one behind the other, and answered in that order. Only what scripts
answer is understood: RESP 2 without nulls and nested arrays.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from redis.asyncio.connection import parse_url

Reply: TypeAlias = int | bytes | list[int]

_CONNECT_SECONDS = 0.5
PATIENCE_SECONDS = 0.036
"""Without any answer for this long, Valkey is away."""
_TICKS = 3
# Valkey answers what came together only when it has done all of it.
_MOST_UNANSWERED = 32
_LATE_SECONDS = 0.006
_LONGEST_SECONDS = 1.0
_ENDED = (ConnectionResetError, "Valkey closed the connection")


class ReplyError(Exception):
    """Valkey refused a command."""


class Connection(asyncio.Protocol):
    """Asks; fails everything at once when answers stop coming."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._tick_seconds = patience / _TICKS
        self._longest = max(_LONGEST_SECONDS, patience)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._unsent: deque[tuple[bytes, asyncio.Future[Reply]]] = deque()
        self._buffer = b""
        self._tick: asyncio.TimerHandle | None = None
        self._due = self._answered_at = 0.0
        self._silent = 0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but name.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or _ENDED[0](_ENDED[1]))

    def ask(self, parts: Sequence[bytes | str | int]) -> asyncio.Future[Reply]:
        """Send one command; the answer comes later.

        Raises (through the future):
            ReplyError: it was refused.
            OSError: the connection broke, or no answer came in time (`TimeoutError`).
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            future.set_exception(_ENDED[0](_ENDED[1]))
            return future
        if not self._waiting:
            self._silent, self._answered_at = 0, self._loop.time()
        self._unsent.append((_packed(parts), future))
        self._send(self._transport)
        if self._tick is None:
            self._wait_a_tick()
        return future

    def _send(self, transport: asyncio.Transport) -> None:
        pieces: list[bytes] = []
        while self._unsent and len(self._waiting) < _MOST_UNANSWERED:
            text, future = self._unsent.popleft()
            pieces.append(text)
            self._waiting.append(future)
        if pieces:
            transport.write(b"".join(pieces))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._silent, self._answered_at = 0, self._loop.time()
        at = 0
        while self._waiting and (found := _read(self._buffer, at)) is not None:
            reply, at = found
            future = self._waiting.popleft()
            if future.done():
                continue
            if isinstance(reply, ReplyError):
                future.set_exception(reply)
            else:
                future.set_result(reply)
        self._buffer = self._buffer[at:]
        if self.is_open and self._transport is not None:
            self._send(self._transport)

    def _wait_a_tick(self) -> None:
        self._due = self._loop.time() + self._tick_seconds
        self._tick = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._tick = None
        if not self._waiting:
            return
        now = self._loop.time()
        # A late tick is our own fault: the answer may be there and nobody had time to read it.
        self._silent += now - self._due <= _LATE_SECONDS
        if self._silent >= _TICKS or now - self._answered_at > self._longest:
            self._fail(TimeoutError("Valkey does not answer"))
            self.close()
            return
        self._wait_a_tick()

    def _fail(self, error: Exception) -> None:
        asked = [*self._waiting, *(future for _, future in self._unsent)]
        self._waiting.clear()
        self._unsent.clear()
        for future in asked:
            if not future.done():
                future.set_exception(error)


async def connect(url: str, patience: float = PATIENCE_SECONDS) -> Connection:
    """Open a connection, with password and database as the URL says.

    Args:
        patience: How many seconds of silence count as being away.

    Raises:
        OSError, ReplyError: nobody answers, or refuses us.
    """
    facts: dict[str, Any] = dict(parse_url(url))
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(patience)

    async with asyncio.timeout(_CONNECT_SECONDS):
        if "path" in facts:
            _, connection = await loop.create_unix_connection(make, facts["path"])
        else:
            host, port = facts.get("host", "localhost"), facts.get("port", 6379)
            secure = ssl.create_default_context() if url.startswith("rediss:") else None
            _, connection = await loop.create_connection(make, host, port, ssl=secure)
        try:
            if facts.get("password"):
                user = [facts["username"]] if facts.get("username") else []
                await connection.ask(["AUTH", *user, facts["password"]])
            if facts.get("db"):
                await connection.ask(["SELECT", int(facts["db"])])
        except BaseException:
            connection.close()
            raise
    return connection


def _packed(parts: Sequence[bytes | str | int]) -> bytes:
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        text = part if isinstance(part, bytes) else str(part).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(pieces)


def _read(buffer: bytes, at: int) -> tuple[Reply | ReplyError, int] | None:
    """Return one whole reply and where the next begins; None: not all of it is here."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        return None
    kind, said, at = buffer[at : at + 1], buffer[at + 1 : end], end + 2
    if kind == b":":
        return int(said), at
    if kind == b"*":
        numbers: list[int] = []
        for _ in range(int(said)):
            end = buffer.find(b"\r\n", at)
            if end < 0:
                return None
            numbers.append(int(buffer[at + 1 : end]))
            at = end + 2
        return numbers, at
    if kind == b"$":
        stop = at + int(said)
        return (buffer[at:stop], stop + 2) if len(buffer) >= stop + 2 else None
    if kind == b"-":
        return ReplyError(said.decode("utf-8", "replace")), at
    return said, at
