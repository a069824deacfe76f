"""Which sessions were used, written down in batches: once a minute, however often.

What a killed edge had not written is lost; it is advice. While PostgreSQL is away uses are kept.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from uuid import UUID

import structlog

from integration.edge.database import Database
from integration.edge.problems import RefusedError
from integration.settings import Settings

log = structlog.get_logger()

# About 10 MB. More sessions than this between two batches are not counted.
_MOST = 100_000
_BATCH = 1_000
_CLOSE_SECONDS = 2.0
# Rows are locked in the order of their ids: two edges cannot wait for each other.
_WRITE = """
    WITH used AS (
        SELECT * FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS used(id, number, at)
    ), held AS (
        SELECT session_id FROM member_sessions
        WHERE session_id IN (SELECT id FROM used) AND ended_at IS NULL
        ORDER BY session_id FOR NO KEY UPDATE
    )
    UPDATE member_sessions AS known SET activity_count = known.activity_count + used.number,
        last_activity_at = greatest(known.last_activity_at, used.at)
    FROM used JOIN held ON held.session_id = used.id WHERE known.session_id = used.id
"""


class Activity:
    """Counts uses. Writes between `start` and `close`; counts before too."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._period = settings.session_activity_period.total_seconds()
        self._counts: dict[UUID, int] = {}
        self._since = datetime.now(UTC)
        self._task: asyncio.Task[None] | None = None

    def seen(self, session_id: UUID) -> None:
        """Count one use. Never waits."""
        count = self._counts.get(session_id)
        if count is not None:
            self._counts[session_id] = count + 1
        elif len(self._counts) < _MOST:
            self._counts[session_id] = 1

    def is_used(self, session_id: UUID) -> bool:
        """Tell whether a session was used since the last batch."""
        return session_id in self._counts

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_writing())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._write()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            await self._write()

    async def _write(self) -> None:
        counts, self._counts = self._counts, {}
        now = datetime.now(UTC)
        left = list(counts.items())
        try:
            while left:
                some = left[:_BATCH]
                ids, numbers = zip(*some, strict=True)
                await self._database.execute(_WRITE, (list(ids), list(numbers), [now] * len(some)))
                left = left[_BATCH:]
        except RefusedError:
            log.warning("session_activity_waits", sessions=len(left))
        finally:
            for session_id, number in left[:_MOST]:
                self._counts[session_id] = self._counts.get(session_id, 0) + number
