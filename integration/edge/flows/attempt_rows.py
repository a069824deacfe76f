"""One batch of login attempts as rows: the records, the members' counters, the flows' steps."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from integration.edge.flows.attempts import Attempt
from policies.progress import state_of

_KNOWN = "SELECT id FROM login_attempts WHERE id = ANY(%s)"
_MEMBERS = """
    SELECT lower(email), identity_id FROM members WHERE lower(email) = ANY(%s)
    UNION ALL
    SELECT lower(username), identity_id FROM members WHERE lower(username) = ANY(%s)
"""
_COPY = """
    COPY login_attempts (id, at, identifier_hash, identity_id, address, user_agent, device_id,
        method, outcome, code, flow_id) FROM STDIN
"""
# Rows are locked in the order of their ids, so that two edges cannot wait for each other.
_COUNT = """
    WITH login AS (
        SELECT * FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS login(id, number, at)
    ), held AS (
        SELECT identity_id FROM members WHERE identity_id IN (SELECT id FROM login)
        ORDER BY identity_id FOR NO KEY UPDATE
    )
    UPDATE members SET login_count = login_count + login.number,
        last_login_at = greatest(last_login_at, login.at)
    FROM login JOIN held ON held.identity_id = login.id WHERE members.identity_id = login.id
"""
# The last attempt counts. A flow of another kind is never touched.
_FLOWS = """
    INSERT INTO flows (flow_id, kind, state, steps, error, identity_id, created_at, updated_at)
    SELECT id, kind, state, steps, error, member, at, at
    FROM jsonb_to_recordset(%s) AS
        flow(id uuid, kind text, state text, steps jsonb, error jsonb, member uuid, at timestamptz)
    ORDER BY id
    ON CONFLICT (flow_id) DO UPDATE
    SET kind = excluded.kind, state = excluded.state, steps = excluded.steps,
        error = excluded.error,
        identity_id = coalesce(excluded.identity_id, flows.identity_id),
        updated_at = excluded.updated_at
    WHERE flows.kind IN ('login', 'oauth') AND flows.updated_at <= excluded.updated_at
"""


async def write_batch(
    connection: AsyncConnection, batch: Sequence[Attempt], *, may_be_there: bool
) -> None:
    """Write a batch in the caller's transaction.

    Args:
        may_be_there: An earlier try may have gone through after all: leave out what is there.
    """
    if may_be_there:
        cursor = await connection.execute(_KNOWN, ([attempt.id for attempt in batch],))
        there = {row[0] for row in await cursor.fetchall()}
        batch = [attempt for attempt in batch if attempt.id not in there]
    members = await _members(connection, batch)
    whose = {
        attempt.id: attempt.identity_id or members.get(attempt.identifier or "")
        for attempt in batch
    }
    await _copy(connection, (attempt for attempt in batch if attempt.is_record), whose)
    await _count(connection, (attempt for attempt in batch if attempt.counts), whose)
    await _move_flows(connection, batch, whose)


async def _members(connection: AsyncConnection, batch: Sequence[Attempt]) -> dict[str, UUID]:
    named = {a.identifier for a in batch if a.identity_id is None and a.identifier}
    # PostgreSQL's text knows neither of these.
    names = [name for name in named if "\x00" not in name and name.isprintable()]
    if not names:
        return {}
    cursor = await connection.execute(_MEMBERS, (names, names))
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def _copy(
    connection: AsyncConnection, records: Iterable[Attempt], whose: Mapping[UUID, UUID | None]
) -> None:
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for record in records:
            await copy.write_row(
                (
                    record.id,
                    record.at,
                    record.identifier_hash,
                    whose[record.id],
                    record.address,
                    record.user_agent,
                    record.device_id,
                    record.method,
                    str(record.outcome),
                    record.code,
                    record.flow_id,
                )
            )


async def _count(
    connection: AsyncConnection, logins: Iterable[Attempt], whose: Mapping[UUID, UUID | None]
) -> None:
    moments: dict[UUID, list[object]] = {}
    for login in logins:
        member = whose[login.id]
        if member is not None:
            moments.setdefault(member, []).append(login.at)
    if moments:
        numbers = [len(each) for each in moments.values()]
        last = [each[-1] for each in moments.values()]
        await connection.execute(_COUNT, (list(moments), numbers, last))


async def _move_flows(
    connection: AsyncConnection, batch: Sequence[Attempt], whose: Mapping[UUID, UUID | None]
) -> None:
    last = {attempt.flow_id: attempt for attempt in batch if attempt.flow_id is not None}
    if not last:
        return
    rows = [_flow_row(attempt, whose[attempt.id]) for attempt in last.values()]
    await connection.execute(_FLOWS, (Jsonb(rows),))


def _flow_row(attempt: Attempt, member: UUID | None) -> dict[str, object]:
    steps, failed = attempt.steps(member)
    at = attempt.at.isoformat()
    return {
        "id": str(attempt.flow_id),
        "kind": str(attempt.kind),
        "state": str(state_of(steps)),
        # All steps of an attempt are of the moment it ended.
        "steps": [
            {"name": step.name, "state": str(step.state), "at": at if step.at else None}
            for step in steps
        ],
        "error": failed and {"step": failed, "code": attempt.code or str(attempt.outcome)},
        "member": str(member) if member and attempt.counts else None,
        "at": at,
    }
