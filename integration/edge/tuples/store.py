"""What Keto holds, as far as a write has to know it. The caller is the one writer."""

import asyncio
from collections.abc import Iterable

from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.tuples.keto_pages import KetoPages
from integration.edge.tuples.ledger import Object, TupleLedger
from policies.relationships import Relationship
from policies.tuple_deletes import MAX_MATCHES, Pattern

# Of so many objects Keto is always asked.
_FEW = 4

TOO_MANY = Refusal(
    409, "too_many_tuples", f"More than {MAX_MATCHES} tuples match: delete them in parts."
)


class TupleStore:
    """Finds tuples."""

    def __init__(self, pages: KetoPages, ledger: TupleLedger) -> None:
        self._pages = pages
        self._ledger = ledger

    async def present(
        self, request: Request, wanted: Iterable[Relationship]
    ) -> frozenset[Relationship]:
        """Return what is there of the objects in question, at least those that are wanted.

        Asks once for each object; of many objects, only for those that are in the ledger.

        Raises:
            RefusedError: Keto does not say.
        """
        by_object: dict[Object, list[Relationship]] = {}
        for each in wanted:
            by_object.setdefault((each.namespace, each.object), []).append(each)
        if len(by_object) > _FEW:
            for new in await self._ledger.new_among(request, by_object):
                del by_object[new]
        async with self._pages.in_time():
            found = await asyncio.gather(
                *(self._of_object(request, group) for group in by_object.values())
            )
        return frozenset(each for some in found for each in some)

    async def matching(self, request: Request, pattern: Pattern) -> frozenset[Relationship]:
        """Return everything that matches.

        Raises:
            RefusedError: Keto does not say, or there is too much.
        """
        found: set[Relationship] = set()
        async for page in self._pages.each(request, pattern.to_query()):
            found |= set(page)
            if len(found) > MAX_MATCHES:
                raise RefusedError(TOO_MANY)
        return frozenset(found)

    async def _of_object(self, request: Request, group: list[Relationship]) -> list[Relationship]:
        first = group[0]
        if len(group) > 1:
            query = Pattern(first.namespace, first.object).to_query()
            found, has_more = await self._pages.first(request, query)
            if not has_more:
                return found
        # Alone, or of an object that many stand in.
        pages = await asyncio.gather(*(self._exactly(request, each) for each in group))
        return [each for found in pages for each in found]

    async def _exactly(self, request: Request, wanted: Relationship) -> list[Relationship]:
        pattern = Pattern(wanted.namespace, wanted.object, wanted.relation, wanted.subject)
        found, _ = await self._pages.first(request, pattern.to_query())
        return found
