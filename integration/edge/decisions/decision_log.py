"""The decisions, written in batches: all denials, and a share of what was allowed."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from psycopg import AsyncConnection

from integration.edge.batch_writer import BatchWriter
from integration.edge.decisions.decision import Decision
from integration.settings import Settings
from policies.permission_questions import Question

BATCH = 1000
LONGEST_WAIT_SECONDS = 0.5
# About 15 MB.
MOST_WAITING = 20_000
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
    """Takes decisions, writes them between `start` and `close`."""

    def __init__(self, settings: Settings, *, most_waiting: int = MOST_WAITING) -> None:
        self._share = settings.decision_log_sample
        self._lines: BatchWriter[_Line] = BatchWriter(
            settings,
            _write,
            name="decisions",
            batch=BATCH,
            longest_wait=LONGEST_WAIT_SECONDS,
            most_waiting=most_waiting,
        )

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
        took = (time.perf_counter() - started) * 1000
        self._lines.add(_Line(time.time(), question, decision, took, asked_by, request_id))

    async def start(self) -> None:
        await self._lines.start()

    async def close(self) -> None:
        await self._lines.close()


async def _write(
    connection: AsyncConnection,
    batch: Sequence[_Line],
    *,
    may_be_there: bool,
) -> None:
    # Whether or not it may be there: a line told twice is better than one not told.
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for line in batch:
            await copy.write_row(_row(line))


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
