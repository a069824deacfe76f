"""Each write of tuples, written down; and whoever remembers something about its subjects is told.

Both in one statement, before Keto is asked: from then on nobody keeps an answer of before. And
again afterwards: what was asked in between may have been answered by either world.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from integration.edge.api_keys import key_id_of
from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.requests import Request
from integration.edge.tuples.ledger import Object, key_of
from policies.relationships import Relationship

EDGES = UUID(int=0)
"""As `integration.db.epochs.EDGES`."""
EPOCH_HEADER = b"x-kleis-epoch"
_MAX_TOLD = 20

_MOVE = """
    INSERT INTO subject_epochs AS known (subject_id, epoch, authority_epoch, settled_epoch, xid)
    SELECT subject_id, 1, 0, 0, pg_current_xact_id()::text::bigint
    FROM unnest(%s::uuid[]) AS subject_id ORDER BY subject_id
    ON CONFLICT (subject_id) DO UPDATE SET
        epoch = known.epoch + 1, xid = pg_current_xact_id()::text::bigint
    RETURNING subject_id, epoch
"""
_OPEN = """
    WITH noted AS (
        INSERT INTO tuple_writes (id, at, api_key_id, request_id, action, tuples, subjects)
        VALUES (%s, now(), %s, %s, %s, %s, %s)
        ON CONFLICT (id) DO NOTHING
    ), seen AS (
        INSERT INTO tuple_objects (key) SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING
    )
"""
_CLOSE = """
    WITH ended AS (UPDATE tuple_writes SET status = %s, ended_at = now() WHERE id = %s)
"""
_CURRENT = "SELECT subject_id, epoch FROM subject_epochs WHERE subject_id = ANY(%s::uuid[])"
_UNSETTLED = """
    SELECT 1 FROM subject_epochs
    WHERE subject_id = ANY(%s::uuid[]) AND settled_epoch < authority_epoch LIMIT 1
"""


class TupleAudit:
    """Writes the rows, moves the epochs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        call_id: UUID,
        request: Request,
        *,
        action: str,
        tuples: Mapping[str, Any],
        subjects: Iterable[UUID],
        objects: Iterable[Object] = (),
    ) -> None:
        """Write down what somebody is about to change.

        Args:
            objects: What goes into the ledger, if it is not there.

        Raises:
            RefusedError: the database does not answer: nothing is changed unseen.
        """
        touched = sorted(subjects)
        key_id = key_id_of(request.headers)
        seen = [key_of(each) for each in objects]
        document = json.dumps(tuples)
        values = (call_id, key_id, request.id, action, document, touched, seen, touched)
        await self._database.rows(_OPEN + _MOVE, values)

    async def end(
        self, call_id: UUID, *, status: int | None, subjects: Iterable[UUID]
    ) -> dict[UUID, int]:
        """Write down how it ended; return the epochs from which on it holds.

        Raises:
            RefusedError: the database does not answer. The sweep ends the call later.
        """
        rows = await self._database.rows(_CLOSE + _MOVE, (status, call_id, sorted(subjects)))
        return dict(rows)

    async def epochs(self, subjects: Iterable[UUID]) -> dict[UUID, int]:
        """Return the epochs of subjects as they are."""
        return dict(await self._database.rows(_CURRENT, (sorted(subjects),)))

    async def are_settled(self, subjects: Iterable[UUID]) -> bool:
        """Tell whether Keto has been told everything about these subjects."""
        return await self._database.row(_UNSETTLED, (sorted(subjects),)) is None


def subjects_of(tuples: Iterable[Relationship]) -> set[UUID]:
    """Return whose answers tuples change: members, and everybody by an edge or a subject set.

    A subject that is no UUID is nobody's: the edge writes none, and nobody asks as one.
    """
    touched: set[UUID] = set()
    for each in tuples:
        if not isinstance(each.subject, str):
            touched.add(EDGES)
            continue
        try:
            touched.add(UUID(each.subject))
        except ValueError:
            continue
    return touched


def shown(*, insert: Iterable[Relationship], delete: Iterable[Relationship]) -> dict[str, Any]:
    """Return tuples in their short form."""
    return {"insert": [str(each) for each in insert], "delete": [str(each) for each in delete]}


def with_epochs(answer: Answer, epochs: Mapping[UUID, int]) -> Answer:
    """Return an answer that says from which epochs on it holds.

    `X-Kleis-Epoch: <subject>=<epoch>, edges=<epoch>`; left out where more than `_MAX_TOLD` moved.
    """
    if not epochs or len(epochs) > _MAX_TOLD or answer.status >= 300:
        return answer
    told = ", ".join(
        f"{'edges' if subject == EDGES else subject}={epoch}"
        for subject, epoch in sorted(epochs.items())
    )
    return Answer(answer.status, [*answer.headers, (EPOCH_HEADER, told.encode())], answer.body)
