"""Which objects were ever written through an edge, so that a load need not ask Keto about each.

Asking costs a read an object; remembering costs one statement a load. An object that is not in the
ledger has no tuples that came this way, and in a namespace that was empty when the ledger began it
has none at all. Where somebody writes past the edge, a load may store a tuple a second time, which
changes no answer, and a delete takes all copies (docs/decisions/0016).
"""

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from integration.edge.database import Database
from integration.edge.requests import Request
from integration.edge.tuples.keto_pages import KetoPages
from policies.authority import PLATFORM_NAMESPACE

Object: TypeAlias = tuple[str, str]
"""A namespace and a name."""

# Written by the service as well, which keeps no ledger.
_NOT_OURS_ALONE = frozenset({PLATFORM_NAMESPACE, "Permission"})

# Nobody waits until this is on disk: the row of the write is, before Keto is asked.
_NOTE = """
    WITH noted AS (
        INSERT INTO tuple_objects (key) SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING
        RETURNING key
    )
    SELECT key, NULL::text, NULL::boolean FROM noted
    UNION ALL SELECT NULL::bigint, namespace, is_complete FROM tuple_namespaces
    UNION ALL SELECT NULL::bigint, NULL, set_config('synchronous_commit', 'off', true)::boolean
"""
_FOUND = """
    INSERT INTO tuple_namespaces AS known (namespace, is_complete) VALUES (%s, %s)
    ON CONFLICT (namespace) DO UPDATE SET is_complete = EXCLUDED.is_complete
"""


class TupleLedger:
    """Notes objects. The caller is the one writer."""

    def __init__(self, database: Database, pages: KetoPages) -> None:
        self._database = database
        self._pages = pages

    async def new_among(self, request: Request, objects: Iterable[Object]) -> frozenset[Object]:
        """Note objects, and return those that have no tuples yet.

        Raises:
            RefusedError: nobody can say.
        """
        by_key = {key_of(each): each for each in objects}
        rows = await self._database.rows(_NOTE, (list(by_key),))
        complete = {namespace: whole for _, namespace, whole in rows if namespace is not None}
        for namespace in {each[0] for each in by_key.values()} - complete.keys():
            complete[namespace] = await self._begin(request, namespace)
        noted = [by_key[key] for key, _, _ in rows if key is not None]
        return frozenset(
            each for each in noted if complete[each[0]] and each[0] not in _NOT_OURS_ALONE
        )

    async def begin_anew(self, namespace: str) -> None:
        """Note that a namespace was emptied: its ledger is complete from here on."""
        await self._database.execute(_FOUND, (namespace, True))

    async def _begin(self, request: Request, namespace: str) -> bool:
        """Begin the ledger of a namespace, which is complete where there is nothing yet."""
        found, _ = await self._pages.first(request, {"namespace": namespace}, size=1)
        await self._database.execute(_FOUND, (namespace, not found))
        return not found


def key_of(item: Object) -> int:
    """Return 64 bits of an object's name; two names that share them are only asked about."""
    digest = hashlib.blake2b("\0".join(item).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
