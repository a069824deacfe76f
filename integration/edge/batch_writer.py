"""Writes rows in batches, beside the answers and not before them.

A row waits a fraction of a second before its batch is written, so that a killed edge loses less
than a second's worth; a stopped one writes what it has. While PostgreSQL is away rows wait in
memory, within a bound; beyond it they are counted as lost, for an answer never waits for a record.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from integration.edge.transactions import make_pool
from integration.settings import Settings

log = structlog.get_logger()

Row = TypeVar("Row")
Row_contra = TypeVar("Row_contra", contravariant=True)

_CLOSE_SECONDS = 4.0
_RETRY_SECONDS = 0.25
_COMPLAIN_SECONDS = 5.0


class Write(Protocol[Row_contra]):
    """Writes one batch in the caller's transaction.

    `may_be_there`: an earlier try may have gone through after all, rows of it may be there.
    """

    async def __call__(
        self,
        connection: psycopg.AsyncConnection,
        batch: Sequence[Row_contra],
        *,
        may_be_there: bool,
    ) -> None: ...


class BatchWriter(Generic[Row]):
    """The queue and its writer. Writes between `start` and `close`; takes rows before too.

    Args:
        name: What the rows are, in log lines.
        batch: Most rows written at once.
        longest_wait: Seconds until a batch is written that is not full.
        most_waiting: Rows kept while PostgreSQL is away.
    """

    def __init__(
        self,
        settings: Settings,
        write: Write[Row],
        *,
        name: str,
        batch: int,
        longest_wait: float,
        most_waiting: int,
    ) -> None:
        self._write_rows = write
        self._name = name
        self._batch = batch
        self._longest_wait = longest_wait
        self._most_waiting = most_waiting
        self._pool = make_pool(settings, name=name, max_size=1)
        self._waiting: deque[Row] = deque()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._is_retry = False
        self._lost = 0
        self._complained_at = float("-inf")

    def add(self, row: Row) -> None:
        """Take one row. Never waits; drops it only when far too many are waiting."""
        if len(self._waiting) >= self._most_waiting:
            self._lost += 1
            self._complain("lost")
            return
        self._waiting.append(row)
        self._some.set()
        if len(self._waiting) >= self._batch:
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
            log.error(f"{self._name}_lost_at_stop", count=len(self._waiting))
        await self._pool.close(timeout=1)

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._longest_wait)
            batch = list(islice(self._waiting, self._batch))
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
        if len(self._waiting) < self._batch:
            self._full.clear()

    async def _written(self, batch: Sequence[Row]) -> bool:
        """Write a batch; False when it is to be tried again."""
        try:
            await self._write_all(batch)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            self._is_retry = True
            self._complain("wait", error=type(error).__name__)
            return False
        except Exception:
            # Whatever it is, the next rows must not wait behind it for ever.
            log.exception(f"{self._name}_unwritable", count=len(batch))
        self._is_retry = False
        return True

    async def _write_all(self, batch: Sequence[Row]) -> None:
        """Write a batch, without rows that PostgreSQL refuses for what is in them."""
        try:
            # A connection that broke at the commit leaves open whether it happened.
            await self._write(batch, may_be_there=self._is_retry)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(batch) == 1:
                self._complain("unwritable", error=type(error).__name__)
                return
            self._is_retry = True
            for row in batch:
                await self._write_all([row])

    async def _write(self, batch: Sequence[Row], *, may_be_there: bool) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await self._write_rows(connection, batch, may_be_there=may_be_there)

    def _complain(self, what: str, **fields: object) -> None:
        if time.monotonic() - self._complained_at > _COMPLAIN_SECONDS:
            self._complained_at = time.monotonic()
            log.warning(
                f"{self._name}_{what}", waiting=len(self._waiting), lost=self._lost, **fields
            )
