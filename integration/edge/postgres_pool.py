"""A few connections to PostgreSQL, the one used last first.

That one is awake: its process at the server, and what both sides of it have in their caches. A
queue that goes round would ask the one that slept longest.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg

from integration.edge.postgres_connection import PostgresConnection, Row, Values

_IDLE_SECONDS = 600.0
_LONGEST_SECONDS = 3600.0
_WAIT_SECONDS = 1.0
_MOST_WAITING = 256


class PoolBusyError(Exception):
    """All connections are in use, and too many wait for one or have waited too long."""


class PostgresPool:
    """Opens connections when they are needed, and keeps them."""

    def __init__(
        self, connect: Callable[[], Awaitable["psycopg.AsyncConnection"]], *, most: int
    ) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._idle: list[PostgresConnection] = []
        self._left: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def ask(self, statement: str, values: Values) -> list[Row]:
        """Return the rows of a statement. Whoever stops waiting leaves it to its end.

        Raises:
            psycopg.Error: PostgreSQL is not there, or refused it.
            PoolBusyError: no connection was free in time.
        """
        await self._turn()
        connection = None
        try:
            connection = self._kept() or PostgresConnection(await self._connect())
            return await connection.ask(statement, values)
        finally:
            self._give_back(connection)

    def forget(self) -> None:
        """Close what is idle: PostgreSQL was restarted, none of it may be alive."""
        while self._idle:
            self._idle.pop().close()

    async def close(self) -> None:
        """Close everything, statements that nobody waits for any more included."""
        self._is_closed = True
        self.forget()
        for task in self._left:
            task.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _turn(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= _MOST_WAITING:
            raise PoolBusyError
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            raise PoolBusyError from error
        finally:
            self._waiting -= 1

    def _kept(self) -> PostgresConnection | None:
        while self._idle:
            last = self._idle.pop()
            if last.is_open:
                return last
        return None

    def _give_back(self, connection: PostgresConnection | None) -> None:
        if connection is not None and connection.is_open and connection.is_busy:
            task = asyncio.create_task(self._after_its_end(connection))
            self._left.add(task)
            task.add_done_callback(self._left.discard)
            return
        self._free.release()
        if connection is None or not connection.is_open:
            return
        now = time.monotonic()
        if self._is_closed or now - connection.opened_at > _LONGEST_SECONDS:
            connection.close()
            return
        self._idle.append(connection)
        while self._idle and now - self._idle[0].used_at > _IDLE_SECONDS:
            self._idle.pop(0).close()

    async def _after_its_end(self, connection: PostgresConnection) -> None:
        try:
            await connection.until_idle()
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            self._give_back(connection)
