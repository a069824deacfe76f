"""The edge's single statements: no ORM, and no need for PostgreSQL to be there at the start.

Over asyncpg, which prepares each once a connection and then names it (docs/decisions/0031). Its
types are strict: a document goes in and comes out as JSON text, a UUID or a moment as itself.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg
import structlog

from integration.edge.placeholders import Values, numbered
from integration.edge.postgres_address import asyncpg_address
from integration.edge.postgres_pool import PoolBusyError, PostgresPool
from integration.edge.problems import DATABASE_DOWN, RefusedError
from integration.settings import Settings

log = structlog.get_logger()

Row: TypeAlias = tuple[Any, ...]

_MOST_CONNECTIONS = 8
# More than there are statements: none is ever prepared a second time.
_MOST_PREPARED = 200
# The server's own bound on statements comes first, where there is a server.
_GRACE_SECONDS = 0.25
# After PostgreSQL did not answer, requests are refused at once for this long.
_QUIET_SECONDS = 0.5
_CLOSE_SECONDS = 2.0
# PostgreSQL was restarted, or gave way to somebody else: worth another try.
_PASSING = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
)


class Database:
    """Runs single statements. Open between `start` and `close`."""

    def __init__(self, settings: Settings) -> None:
        """Raises `AddressError`."""
        self._address = asyncpg_address(settings.database_url.get_secret_value())
        self._seconds = settings.database_timeout.total_seconds()
        self._pool = PostgresPool(self._connect, most=_MOST_CONNECTIONS)
        self._is_open = False
        self._quiet_until = 0.0
        self._answered_at = 0.0
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        """Let what was begun come to its end, within a bound."""
        self._is_open = False
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_CLOSE_SECONDS)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._pool.close()

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
        """Return all rows of a statement that may safely run twice. Raises as `row`.

        It goes on without whoever asked: a client that leaves takes nothing back.
        """
        if not self._is_open or time.monotonic() < self._quiet_until:
            raise RefusedError(DATABASE_DOWN)
        answer: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        asked = asyncio.create_task(self._answer(answer, statement, values))
        self._under_way.add(asked)
        asked.add_done_callback(self._under_way.discard)
        try:
            return await answer
        except (asyncpg.PostgresError, asyncpg.InterfaceError, PoolBusyError, OSError) as error:
            log.warning("database_unavailable", error=type(error).__name__)
            raise RefusedError(DATABASE_DOWN) from error

    async def _answer(
        self, answer: asyncio.Future[list[Row]], statement: str, values: Values
    ) -> None:
        try:
            rows = await self._asked(*numbered(statement, values))
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for it
            if not answer.done():
                answer.set_exception(error)
        except asyncio.CancelledError:
            # The edge ends.
            if not answer.done():
                answer.set_exception(TimeoutError())
            raise
        else:
            if not answer.done():
                answer.set_result(rows)

    async def _asked(self, text: str, given: Sequence[Any]) -> list[Row]:
        try:
            try:
                return await self._in_time(text, given)
            except (TimeoutError, ValueError):
                # It hangs, or it was asked something that nobody could answer.
                raise
            except _PASSING:
                # None of the kept connections is alive.
                self._pool.forget()
                return await self._in_time(text, given)
        except Exception:
            if time.monotonic() - self._answered_at > _QUIET_SECONDS:
                self._quiet_until = time.monotonic() + _QUIET_SECONDS
                self._pool.forget()
            raise

    async def _in_time(self, text: str, given: Sequence[Any]) -> list[Row]:
        """Run once, within a deadline that holds even when PostgreSQL hangs.

        A statement cannot be taken back from a server that does not listen: its connection is
        given up, and it ends whenever the server goes on.

        Raises:
            TimeoutError: it did not end in time.
        """
        seconds = self._seconds + _GRACE_SECONDS
        deadline = time.monotonic() + seconds
        kept = await self._pool.take(seconds)
        left = max(deadline - time.monotonic(), _GRACE_SECONDS)
        try:
            rows = await kept.connection.fetch(text, *given, timeout=left)
        except (TimeoutError, asyncio.CancelledError):
            kept.connection.terminate()
            raise
        finally:
            self._pool.give_back(kept)
        self._answered_at = time.monotonic()
        return [tuple(row) for row in rows]

    async def _connect(self, seconds: float) -> asyncpg.Connection:
        milliseconds = int(self._seconds * 1000)
        return await asyncpg.connect(
            **self._address,
            timeout=seconds,
            statement_cache_size=_MOST_PREPARED,
            max_cached_statement_lifetime=0,
            server_settings={
                "application_name": "kleis-edge",
                "options": f"-c statement_timeout={milliseconds}",
            },
        )
