"""Changes past our own code: an admin's SDK writes to Kratos, and our tables must follow.

Kratos calls no hook for them. Each successful write asks for that identity's reconciliation;
what is lost here (the database went away in between) the periodic reconciler finds.
"""

import json
import re
from uuid import UUID

import structlog

from integration.edge.database import Database
from integration.edge.problems import RefusedError

log = structlog.get_logger()

_IDENTITY = re.compile(
    r"/admin/identities/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|\Z)", re.IGNORECASE
)
# Kind and lane as in `integration.effects`; the relay hands the row to the worker.
_STATEMENT = """
    INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
    SELECT identity_id, 'reconcile', 'reconcile', '{}', now(), now()
    FROM unnest(%s::uuid[]) AS identity_id
"""


def identity_in_path(path: str) -> UUID | None:
    """Return the identity an admin path is about, or None."""
    found = _IDENTITY.match(path)
    return UUID(found[1]) if found else None


def changed_identities(path: str, body: bytes) -> frozenset[UUID]:
    """Return whom a successful admin write changed, by its path or by Kratos' answer."""
    named = identity_in_path(path)
    if named is not None:
        return frozenset({named})
    try:
        document = json.loads(body)
    except ValueError:
        return frozenset()
    if not isinstance(document, dict):
        return frozenset()
    batch = document.get("identities") or []
    found = [document.get("id"), *(item.get("identity") for item in batch)]
    return frozenset(identity for text in found if (identity := _uuid(text)) is not None)


async def record(database: Database, identity_ids: frozenset[UUID]) -> None:
    """Ask for these identities to be reconciled. Never raises: Kratos has changed already."""
    if not identity_ids:
        return
    try:
        await database.execute(_STATEMENT, (sorted(identity_ids),))
    except RefusedError:
        log.exception("admin_write_not_recorded", identities=len(identity_ids))


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
