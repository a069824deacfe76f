"""Writes decisions in batches, beside the answers and not before them.

All denials, and a share of what was allowed. While PostgreSQL is away decisions wait in memory,
within a bound; beyond it they are counted as lost, for an answer never waits for its record.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from integration.edge.database import make_pool
from integration.edge.decisions.decision import Decision
from integration.settings import Settings
from policies.permission_questions import Question

log = structlog.get_logger()

BATCH = 1000
LONGEST_WAIT_SECONDS = 0.5
# About 15 MB.
MOST_WAITING = 20_000
_CLOSE_SECONDS = 4.0
_RETRY_SECONDS = 0.5
_COMPLAIN_SECONDS = 5.0
_COPY = """
    COPY permission_decisions (at, subject, namespace, object, relation, allowed, reason, epoch,
        milliseconds, asked_by, request_id) FROM STDIN
"""


class _Line(NamedTuple):
    at: float
    question: Question
    decision: Decision
    milliseconds: float
    asked_by: str
    request_id: str


class DecisionLog:
    """The queue and its writer. Writes between `start` and `close`."""

    def __init__(self, settings: Settings, *, most_waiting: int = MOST_WAITING) -> None:
        self._share = settings.decision_log_sample
        self._most_waiting = most_waiting
        self._pool = make_pool(settings, name="decisions", max_size=1)
        self._waiting: deque[_Line] = deque()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._lost = 0
        self._complained_at = float("-inf")

    def add(
        self,
        question: Question,
        decision: Decision,
        asked_by: str,
        request_id: str,
        started: float,
    ) -> None:
        """Take one decision. Never waits.

        Args:
            started: When the question came, by `time.perf_counter`.
        """
        if decision.allowed and self._share < 1 and random.random() >= self._share:  # noqa: S311
            return
        if len(self._waiting) >= self._most_waiting:
            self._lost += 1
            self._complain("decisions_lost")
            return
        took = (time.perf_counter() - started) * 1000
        self._waiting.append(_Line(time.time(), question, decision, took, asked_by, request_id))
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
            log.error("decisions_lost_at_stop", count=len(self._waiting))
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
            for _ in batch:
                self._waiting.popleft()
            if self._stopping:
                continue
            if not self._waiting:
                self._some.clear()
            if len(self._waiting) < BATCH:
                self._full.clear()

    async def _written(self, batch: list[_Line]) -> bool:
        """Write a batch; False when it is to be tried again."""
        try:
            async with (
                self._pool.connection() as connection,
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(_COPY) as copy,
            ):
                for line in batch:
                    await copy.write_row(_row(line))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self._complain("decisions_unwritable", error=type(error).__name__)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            self._complain("decisions_wait", error=type(error).__name__)
            return False
        return True

    def _complain(self, event: str, **fields: object) -> None:
        if time.monotonic() - self._complained_at > _COMPLAIN_SECONDS:
            self._complained_at = time.monotonic()
            log.warning(event, waiting=len(self._waiting), lost=self._lost, **fields)


def _row(line: _Line) -> tuple[object, ...]:
    question, decision = line.question, line.decision
    return (
        datetime.fromtimestamp(line.at, UTC),
        question.subject,
        question.namespace,
        question.object,
        question.relation,
        decision.allowed,
        str(decision.reason),
        str(decision.epochs),
        round(line.milliseconds, 3),
        line.asked_by,
        line.request_id,
    )
