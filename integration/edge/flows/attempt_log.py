"""Writes login attempts in batches, beside the answers and not before them.

An attempt waits at most a quarter of a second before its batch is written, so that a killed edge
loses less than a second's worth; a stopped one writes what it has. While PostgreSQL is away
attempts wait in memory, within a bound.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from integration.edge.database import make_pool
from integration.edge.flows.attempt_rows import write_batch
from integration.edge.flows.attempts import Attempt
from integration.settings import Settings

log = structlog.get_logger()

BATCH = 500
LONGEST_WAIT_SECONDS = 0.25
# About 20 MB. At 500 attempts a second PostgreSQL may be away for 40 seconds.
MOST_WAITING = 20_000
_CLOSE_SECONDS = 4.0
_RETRY_SECONDS = 0.25
_COMPLAIN_SECONDS = 5.0


class AttemptLog:
    """The queue and its writer. Writes between `start` and `close`; takes attempts before too."""

    def __init__(self, settings: Settings, *, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._pool = make_pool(settings, name="attempts", max_size=1)
        self._waiting: deque[Attempt] = deque()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._is_retry = False
        self._lost = 0
        self._complained_at = float("-inf")

    def add(self, attempt: Attempt) -> None:
        """Take one attempt. Never waits; drops it only when far too many are waiting."""
        if len(self._waiting) >= self._most_waiting:
            self._lost += 1
            self._complain("login_attempts_lost")
            return
        self._waiting.append(attempt)
        self._some.set()
        if len(self._waiting) >= BATCH:
            self._full.set()

    async def start(self) -> None:
        await self._pool.open(wait=False)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, as long as PostgreSQL answers within some seconds."""
        self._stopping = True
        self._some.set()
        self._full.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, _CLOSE_SECONDS)
        if self._waiting:
            log.error("login_attempts_lost_at_stop", count=len(self._waiting))
        await self._pool.close(timeout=1)

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), LONGEST_WAIT_SECONDS)
            batch = list(islice(self._waiting, BATCH))
            if batch and not await self._written(batch):
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._forget(len(batch))

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
        if self._stopping:
            return
        if not self._waiting:
            self._some.clear()
        if len(self._waiting) < BATCH:
            self._full.clear()

    async def _written(self, batch: Sequence[Attempt]) -> bool:
        """Write a batch; False when it is to be tried again."""
        try:
            await self._write_all(batch)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            self._is_retry = True
            self._complain("login_attempts_wait", error=type(error).__name__)
            return False
        except Exception:
            # Whatever it is, the next attempts must not wait behind it for ever.
            log.exception("login_attempts_unwritable", count=len(batch))
        self._is_retry = False
        return True

    async def _write_all(self, batch: Sequence[Attempt]) -> None:
        """Write a batch, without rows that PostgreSQL refuses for what is in them."""
        try:
            # A connection that broke at the commit leaves open whether it happened.
            await self._write(batch, may_be_there=self._is_retry)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(batch) == 1:
                log.warning("login_attempt_unwritable", error=type(error).__name__)
                return
            self._is_retry = True
            for attempt in batch:
                await self._write_all([attempt])

    async def _write(self, batch: Sequence[Attempt], *, may_be_there: bool) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await write_batch(connection, batch, may_be_there=may_be_there)

    def _complain(self, event: str, **fields: object) -> None:
        if time.monotonic() - self._complained_at > _COMPLAIN_SECONDS:
            self._complained_at = time.monotonic()
            log.warning(event, waiting=len(self._waiting), lost=self._lost, **fields)
