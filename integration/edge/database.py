"""The edge's few statements: no ORM, and no need for PostgreSQL to be there at the start."""

import asyncio
import time
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from integration.edge.postgres_connection import Row, Values
from integration.edge.postgres_pool import PoolBusyError, PostgresPool
from integration.edge.problems import DATABASE_DOWN, RefusedError
from integration.settings import Settings

log = structlog.get_logger()

_MOST_CONNECTIONS = 8
_WAIT_SECONDS = 1.0
# The server's own bound on statements comes first, where there is a server.
_GRACE_SECONDS = 0.25
# After PostgreSQL did not answer, requests are refused at once for this long.
_QUIET_SECONDS = 0.5
# A pool that gave up starts anew with the next request, so this bounds how long after its
# return PostgreSQL is found again.
_RECONNECT_SECONDS = 2.0


def _options(settings: Settings) -> dict[str, Any]:
    milliseconds = int(settings.database_timeout.total_seconds() * 1000)
    return {
        "autocommit": True,
        "connect_timeout": 2,
        "application_name": "kleis-edge",
        "options": f"-c statement_timeout={milliseconds}",
        "tcp_user_timeout": milliseconds,
    }


def make_pool(settings: Settings, *, name: str, max_size: int) -> AsyncConnectionPool:
    """Return a closed pool: no connection is kept ready, none is needed to open it."""
    return AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        kwargs=_options(settings),
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
        self._url = settings.database_url.get_secret_value()
        self._options = _options(settings)
        self._pool: PostgresPool | None = None
        self._seconds = settings.database_timeout.total_seconds() + _GRACE_SECONDS
        self._quiet_until = 0.0
        self._answered_at = 0.0

    async def start(self) -> None:
        self._pool = PostgresPool(self._connect, most=_MOST_CONNECTIONS)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def row(self, statement: str, values: Values) -> Row | None:
        """Return the first row, or None.

        Raises:
            RefusedError: PostgreSQL does not answer, or not in time.
        """
        rows = await self.rows(statement, values)
        return rows[0] if rows else None

    async def execute(self, statement: str, values: Values) -> None:
        """Run a statement that may safely run twice. Raises as `row`."""
        await self.rows(statement, values)

    async def rows(self, statement: str, values: Values) -> list[Row]:
        """Return all rows. Raises as `row`.

        A statement cannot be taken back from a server that does not listen: after its deadline it
        is left alone with its connection, and ends whenever the server goes on or the connection
        breaks.
        """
        if self._pool is None or time.monotonic() < self._quiet_until:
            raise RefusedError(DATABASE_DOWN)
        try:
            async with asyncio.timeout(self._seconds):
                try:
                    rows = await self._pool.ask(statement, values)
                except (psycopg.OperationalError, psycopg.InterfaceError):
                    # PostgreSQL was restarted: none of the kept connections is alive.
                    self._pool.forget()
                    rows = await self._pool.ask(statement, values)
        except (psycopg.Error, PoolBusyError, TimeoutError) as error:
            if time.monotonic() - self._answered_at > _QUIET_SECONDS:
                self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("database_unavailable", error=type(error).__name__)
            raise RefusedError(DATABASE_DOWN) from error
        self._answered_at = time.monotonic()
        return rows

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._url, **self._options)
