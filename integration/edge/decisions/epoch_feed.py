"""`GET /api/permissions/epochs`: what a client's own memory has to forget.

A cursor is a snapshot of PostgreSQL, so that any edge can go on where another one stopped: what
is told is every row written by a transaction that the snapshot does not see as done.
"""

import asyncio
import re
from urllib.parse import parse_qsl
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.decisions.askers import Askers
from integration.edge.decisions.subjects import EDGES
from integration.edge.epochs import Epochs
from integration.edge.held_polls import HeldPolls
from integration.edge.problems import Refusal, RefusedError, json_answer
from integration.edge.requests import Request
from integration.edge.routes import Route

LONGEST_WAIT_SECONDS = 25.0
MOST_SUBJECTS = 1000
MOST_WAITING, MOST_WAITING_EACH = 256, 32
"""Who waits costs a statement whenever something moves: so many at once, and of one API key. One
too many is answered at once."""
# All who wait look when something moves: half of the edge's connections are left to others.
_LOOKS_AT_ONCE = 4

BAD_QUERY = Refusal(
    422, "query_malformed", "There are since, a cursor of this feed, and wait, 0 to 25 seconds."
)
_CURSOR = re.compile(r"[0-9]{1,19}:[0-9]{1,19}:(?:[0-9]{1,19}(?:,[0-9]{1,19})*)?\Z")
_MAX_CURSOR = 6000
_WAIT = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?\Z")
_LOOK = """
SELECT pg_current_snapshot()::text,
       pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax(seen.snapshot), subject_id::text
FROM (SELECT %s::text::pg_snapshot AS snapshot) AS seen
LEFT JOIN subject_epochs
    ON xid >= pg_snapshot_xmin(seen.snapshot)::text::bigint
    AND NOT pg_visible_in_snapshot(xid::text::xid8, seen.snapshot)
LIMIT %s
"""
_NOW = "SELECT pg_current_snapshot()::text"


class EpochFeed:
    """Answers at once, or as soon as something moves."""

    def __init__(self, askers: Askers, database: Database, epochs: Epochs) -> None:
        self._askers = askers
        self._database = database
        self._moved = asyncio.Event()
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._held = HeldPolls(most=MOST_WAITING, most_each=MOST_WAITING_EACH)
        epochs.listen(self._told)

    async def answer(self, request: Request, _: Route) -> Answer:
        """Return what moved since a cursor, and the next cursor; `reset`: forget everything.

        Raises:
            RefusedError: no key, a query that is none, or the database does not answer.
        """
        asker = await self._askers.with_key(request)
        since, wait = _read(request.query)
        if since is None:
            row = await self._database.row(_NOW, ())
            return _shown(row[0] if row else "", set(), reset=True)
        if not wait:
            return await self._held_for(since, 0.0)
        with self._held.place(asker.name) as may_wait:
            return await self._held_for(since, wait if may_wait else 0.0)

    async def _held_for(self, since: str, seconds: float) -> Answer:
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            self._moved.clear()
            cursor, moved, reset = await self._look(since)
            if moved or reset or not await self._something_moves(deadline):
                return _shown(cursor, moved, reset=reset)

    async def _look(self, since: str) -> tuple[str, set[str], bool]:
        async with self._looks:
            rows = await self._database.rows(_LOOK, (since, MOST_SUBJECTS + 1))
        # A cursor from before the database was put back to an older state knows too much.
        is_ahead = bool(rows[0][1])
        moved = {row[2] for row in rows if row[2] is not None}
        if is_ahead or len(moved) > MOST_SUBJECTS:
            return rows[0][0], set(), True
        return rows[0][0], moved, False

    async def _something_moves(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _told(self, _: UUID, __: int, ___: bool) -> None:
        self._moved.set()


def _read(query: str) -> tuple[str | None, float]:
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    wait = given.pop("wait", "0")
    since = given.pop("since", "") or None
    if given or len(pairs) > 2 or not _WAIT.match(wait) or float(wait) > LONGEST_WAIT_SECONDS:
        raise RefusedError(BAD_QUERY)
    if since is not None and (len(since) > _MAX_CURSOR or not _is_cursor(since)):
        raise RefusedError(BAD_QUERY)
    return since, float(wait)


def _is_cursor(text: str) -> bool:
    """Tell whether PostgreSQL would read this: its parts are in order."""
    if not _CURSOR.match(text):
        return False
    low, high, between = text.split(":")
    running = [int(each) for each in between.split(",") if each]
    # Of a transaction's 64 bits the lower half is never 0 (PostgreSQL, `FullTransactionIdIsValid`).
    if not all(each & 0xFFFFFFFF for each in (int(low), int(high), *running)):
        return False
    bounds = 0 < int(low) <= int(high) < 2**63
    return (
        bounds
        and running == sorted(set(running))
        and all(int(low) <= each < int(high) for each in running)
    )


def _shown(cursor: str, moved: set[str], *, reset: bool) -> Answer:
    return json_answer(
        200,
        {
            "cursor": cursor,
            "subjects": sorted(moved - {EDGES}),
            "edges": EDGES in moved,
            "reset": reset,
        },
    )
