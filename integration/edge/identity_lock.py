"""One writer to an identity, or to Keto's tuples, at a time, across processes.

The same keys as `integration.db.locks`, on connections of their own: a lock that waits must not
keep a key or a status from being looked up. Never held for anything but the forwarding of one
write; a hook never takes one, for the edge waits for the hook.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout, TooManyRequests

from integration.edge.problems import BUSY, DATABASE_DOWN, SOON, Refusal, RefusedError
from integration.edge.transactions import make_pool
from integration.settings import Settings

log = structlog.get_logger()

_KEY = "hashtextextended(%s::text, 0)"
_TUPLES = "keto:tuples"
_ADMINS = "members:admins"
_MAX_HELD = 16

TUPLES_BUSY = Refusal(503, "busy", "Somebody else is writing permissions. Try again.", SOON)


class IdentityLocks:
    """Takes locks. Open between `start` and `close`."""

    def __init__(self, settings: Settings) -> None:
        self._pool = make_pool(settings, name="edge-locks", max_size=_MAX_HELD)
        self._seconds = settings.database_timeout.total_seconds()
        # An entry lasts as long as somebody holds it or waits for it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close(timeout=2)

    def held(self, identity_id: UUID) -> AbstractAsyncContextManager[None]:
        """Hold the lock of one identity.

        Raises:
            RefusedError: `busy` after `database_timeout`, or the database does not answer.
        """
        return self._held(f"identity:{identity_id}", BUSY)

    def held_for_leaving(
        self, identity_id: UUID, *, is_admin: bool
    ) -> AbstractAsyncContextManager[None]:
        """Hold an identity that is to be shut out, and keep others from changing who is admin.

        Until our tables have followed Kratos, somebody who is made an admin meanwhile would count.

        Args:
            is_admin: It is one: then nobody else may shut anybody out meanwhile.

        Raises:
            RefusedError: as `held`.
        """
        lock = "pg_advisory_lock" if is_admin else "pg_advisory_lock_shared"
        return self._held(f"identity:{identity_id}", BUSY, also=(lock, _ADMINS))

    def writing_tuples(self) -> AbstractAsyncContextManager[None]:
        """Be the one writer of Keto's tuples. Raises as `held`."""
        return self._held(_TUPLES, TUPLES_BUSY)

    @asynccontextmanager
    async def _held(
        self, name: str, busy: Refusal, also: tuple[str, str] | None = None
    ) -> AsyncIterator[None]:
        """Hold one lock, and another on the same connection.

        Args:
            also: Function and name of the other.
        """
        deadline = time.monotonic() + self._seconds
        locks = [("pg_advisory_lock", name), *([also] if also else [])]
        async with self._turn(name, busy), self._held_in_database(locks, busy, deadline):
            yield

    @asynccontextmanager
    async def _turn(self, name: str, busy: Refusal) -> AsyncIterator[None]:
        """Wait without a connection: one busy name must not take them from all others."""
        turn = self._turns.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(self._seconds):
                await turn.acquire()
        except TimeoutError as error:
            raise RefusedError(busy) from error
        try:
            yield
        finally:
            turn.release()

    @asynccontextmanager
    async def _held_in_database(
        self, locks: Sequence[tuple[str, str]], busy: Refusal, deadline: float
    ) -> AsyncIterator[None]:
        connection = await self._locked(locks, busy, deadline)
        released = False
        try:
            yield
        finally:
            try:
                # Of this session, which has no others.
                await connection.execute(b"SELECT pg_advisory_unlock_all()")
                released = True
            except psycopg.Error as error:
                log.warning("lock_lost", error=type(error).__name__)
            finally:
                await self._give_back(connection, usable=released)

    async def _locked(
        self, locks: Sequence[tuple[str, str]], busy: Refusal, deadline: float
    ) -> AsyncConnection:
        left = max(1, int((deadline - time.monotonic()) * 1000))
        bounds = f"SET lock_timeout = {left}; SET statement_timeout = {left + 500}"
        connection = await self._connection(bounds.encode())
        taken = False
        try:
            for function, name in locks:
                await connection.execute(f"SELECT {function}({_KEY})".encode(), (name,))
            taken = True
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            raise RefusedError(busy) from error
        except psycopg.Error as error:
            raise RefusedError(DATABASE_DOWN) from error
        finally:
            if not taken:
                await self._give_back(connection, usable=False)
        return connection

    async def _connection(self, begin: bytes) -> AsyncConnection:
        """Return a connection that answered `begin`: an old one may have died with PostgreSQL's
        last restart."""
        try:
            connection = await self._pool.getconn(timeout=min(self._seconds, 2.0))
            try:
                await connection.execute(begin)
            except psycopg.Error:
                await self._give_back(connection, usable=False)
                await self._pool.check()
                connection = await self._pool.getconn(timeout=1.0)
                await self._begun(connection, begin)
        except TooManyRequests as error:
            raise RefusedError(BUSY) from error
        except PoolTimeout as error:
            full = self._pool.get_stats().get("pool_size", 0) >= _MAX_HELD
            raise RefusedError(BUSY if full else DATABASE_DOWN) from error
        return connection

    async def _begun(self, connection: AsyncConnection, begin: bytes) -> None:
        try:
            await connection.execute(begin)
        except psycopg.Error as error:
            await self._give_back(connection, usable=False)
            raise RefusedError(DATABASE_DOWN) from error

    async def _give_back(self, connection: AsyncConnection, *, usable: bool) -> None:
        """Return a connection; one that may still hold the lock is closed, which frees it."""
        if not usable:
            await connection.close()
        await self._pool.putconn(connection)
