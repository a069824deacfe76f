"""The edge's few statements: no ORM, and no need for PostgreSQL to be there at the start."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from integration.edge.problems import DATABASE_DOWN, RefusedError
from integration.settings import Settings

log = structlog.get_logger()

_WAIT_SECONDS = 1.0
# The server's own bound on statements comes first, where there is a server.
_GRACE_SECONDS = 0.25
# After PostgreSQL did not answer, requests are refused at once for this long.
_QUIET_SECONDS = 0.5
# A pool that gave up starts anew with the next request, so this bounds how long after its
# return PostgreSQL is found again.
_RECONNECT_SECONDS = 2.0


# By number, or by name.
Values = Sequence[Any] | Mapping[str, Any]


def make_pool(settings: Settings, *, name: str, max_size: int) -> AsyncConnectionPool:
    """Return a closed pool: no connection is kept ready, none is needed to open it."""
    milliseconds = int(settings.database_timeout.total_seconds() * 1000)
    return AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        kwargs={
            "autocommit": True,
            "connect_timeout": 2,
            "application_name": "kleis-edge",
            "options": f"-c statement_timeout={milliseconds}",
            "tcp_user_timeout": milliseconds,
        },
        min_size=0,
        max_size=max_size,
        name=name,
        open=False,
        timeout=_WAIT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
        max_waiting=256,
    )


class Database:
    """Runs single statements. Open between `start` and `close`."""

    def __init__(self, settings: Settings) -> None:
        self._pool = make_pool(settings, name="edge", max_size=8)
        self._seconds = settings.database_timeout.total_seconds() + _GRACE_SECONDS
        self._quiet_until = 0.0
        self._answered_at = 0.0
        self._left: set[asyncio.Task[list[tuple[Any, ...]]]] = set()

    async def start(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close(timeout=2)

    async def row(self, statement: str, values: Values) -> tuple[Any, ...] | None:
        """Return the first row, or None.

        Raises:
            RefusedError: PostgreSQL does not answer, or not in time.
        """
        rows = await self._run(statement, values, reads=True)
        return rows[0] if rows else None

    async def rows(self, statement: str, values: Values) -> list[tuple[Any, ...]]:
        """Return all rows. Raises as `row`."""
        return await self._run(statement, values, reads=True)

    async def execute(self, statement: str, values: Values) -> None:
        """Run a statement that may safely run twice. Raises as `row`."""
        await self._run(statement, values, reads=False)

    async def _run(self, statement: str, values: Values, *, reads: bool) -> list[tuple[Any, ...]]:
        if time.monotonic() < self._quiet_until:
            raise RefusedError(DATABASE_DOWN)
        try:
            try:
                return await self._in_time(statement, values, reads=reads)
            except (PoolTimeout, TooManyRequests):
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # PostgreSQL was restarted: none of the kept connections is alive.
                await self._pool.check()
                return await self._in_time(statement, values, reads=reads)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            if time.monotonic() - self._answered_at > _QUIET_SECONDS:
                self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("database_unavailable", error=type(error).__name__)
            raise RefusedError(DATABASE_DOWN) from error

    async def _in_time(
        self, statement: str, values: Values, *, reads: bool
    ) -> list[tuple[Any, ...]]:
        """Run once, within a deadline that holds even when PostgreSQL hangs.

        A statement cannot be taken back from a server that does not listen: it is left alone with
        its connection, and ends whenever the server goes on or the connection breaks.

        Raises:
            TimeoutError: it did not end in time.
        """
        task = asyncio.create_task(self._once(statement, values, reads=reads))
        self._left.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if not done:
            raise TimeoutError
        return task.result()

    def _ended(self, task: asyncio.Task[list[tuple[Any, ...]]]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            # Else asyncio complains about an error that nobody was left to hear.
            task.exception()

    async def _once(self, statement: str, values: Values, *, reads: bool) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            rows = await cursor.fetchall() if reads else []
            self._answered_at = time.monotonic()
            return rows
