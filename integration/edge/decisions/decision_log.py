"""The decisions, written in batches: all denials, and a share of what was allowed.

But for floods: who asks without an API key, about itself or as a guest, could fill the table and
push the lines of others out of the queue. Of each such subject a bounded number is written.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from psycopg import AsyncConnection

from integration.edge.batch_writer import BatchWriter
from integration.edge.decisions.decision import Decision
from integration.settings import Settings
from policies.permission_questions import Question

log = structlog.get_logger()

BATCH = 1000
LONGEST_WAIT_SECONDS = 0.5
# About 15 MB.
MOST_WAITING = 20_000
MOST_OF_SUBJECT = 1000
"""Lines a minute of one subject, of those nobody with a key asked for."""
_MINUTE = 60.0
_WITH_KEY = "key:"
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
        self._since = float("-inf")
        self._written: Counter[str] = Counter()
        self._left_out = 0
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
            asked_by: `key:<public id>`, `member`, or `forward-auth`.
            started: When the question came, by `time.perf_counter`.
        """
        if decision.allowed and self._share < 1 and random.random() >= self._share:  # noqa: S311
            return
        if not asked_by.startswith(_WITH_KEY) and self._is_flood(question.subject):
            return
        took = (time.perf_counter() - started) * 1000
        self._lines.add(_Line(time.time(), question, decision, took, asked_by, request_id))

    def _is_flood(self, subject: str) -> bool:
        now = time.monotonic()
        if now - self._since >= _MINUTE:
            if self._left_out:
                log.warning("decisions_left_out", count=self._left_out)
            self._since, self._left_out = now, 0
            self._written.clear()
        if self._written[subject] >= MOST_OF_SUBJECT:
            self._left_out += 1
            return True
        self._written[subject] += 1
        return False

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
