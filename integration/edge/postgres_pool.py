"""A few connections to PostgreSQL, the one used last first.

That one is awake: its process at the server, and what both sides of it have in their caches.
asyncpg's own pool does the same, but resets a connection after each use: for single statements it
costs more than asyncpg saves (docs/decisions/0031).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

_IDLE_SECONDS = 600.0
_LONGEST_SECONDS = 3600.0
_WAIT_SECONDS = 1.0
_MOST_WAITING = 256


class PoolBusyError(Exception):
    """All connections are in use, and too many wait for one or have waited too long."""


@dataclass(slots=True)
class Kept:
    """A connection, and since when it is there, by the monotonic clock."""

    connection: asyncpg.Connection
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)


class PostgresPool:
    """Opens connections when they are needed, and keeps them."""

    def __init__(
        self, connect: Callable[[float], Awaitable[asyncpg.Connection]], *, most: int
    ) -> None:
        """Args:
        connect: Opens one, within so many seconds.
        """
        self._connect = connect
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._idle: list[Kept] = []
        self._is_closed = False

    async def take(self, seconds: float) -> Kept:
        """Return a connection that nobody else has, to be given back.

        Args:
            seconds: How long one may be waited for, and how long opening one may take.

        Raises:
            PoolBusyError: none was free in time.
            asyncpg.PostgresError, OSError: PostgreSQL does not let us in, or is not there.
        """
        await self._turn(seconds)
        while self._idle:
            last = self._idle.pop()
            if not last.connection.is_closed():
                return last
        try:
            return Kept(await self._connect(seconds))
        except BaseException:
            self._free.release()
            raise

    def give_back(self, kept: Kept) -> None:
        """Keep a connection for the next one. Whoever left it in the middle has ended it."""
        self._free.release()
        if kept.connection.is_closed():
            return
        now = kept.used_at = time.monotonic()
        if self._is_closed or now - kept.opened_at > _LONGEST_SECONDS:
            kept.connection.terminate()
            return
        self._idle.append(kept)
        while now - self._idle[0].used_at > _IDLE_SECONDS:
            self._idle.pop(0).connection.terminate()

    def forget(self) -> None:
        """Close what is idle: none of it may be alive."""
        while self._idle:
            self._idle.pop().connection.terminate()

    def close(self) -> None:
        """Close what is idle, and from now on whatever is given back."""
        self._is_closed = True
        self.forget()

    async def _turn(self, seconds: float) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= _MOST_WAITING:
            raise PoolBusyError
        self._waiting += 1
        try:
            async with asyncio.timeout(min(_WAIT_SECONDS, seconds)):
                await self._free.acquire()
        except TimeoutError as error:
            raise PoolBusyError from error
        finally:
            self._waiting -= 1
