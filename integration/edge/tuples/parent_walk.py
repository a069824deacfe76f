"""What lies above and below objects that get a parent: enough of it to rule a circle out."""

import asyncio
from collections.abc import Iterable

from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.tuples.keto_pages import KetoPages
from policies.parent_edges import MAX_CHAIN, Edge, Edges
from policies.relationships import Relationship, SubjectSet
from policies.tuple_deletes import Pattern

# More objects below are read as one list of all edges.
_MAX_QUESTIONS = 1000
_MAX_EDGES = 50_000

TOO_MANY_EDGES = Refusal(
    409, "too_many_edges", "There are too many edges to rule out a circle: write fewer at once."
)


class ParentWalk:
    """Follows the edges of one relation between objects of one namespace."""

    def __init__(
        self, pages: KetoPages, request: Request, *, namespace: str, relation: str
    ) -> None:
        self._pages = pages
        self._request = request
        self._namespace = namespace
        self._relation = relation
        self._questions = 0

    async def around(self, added: Iterable[Edge]) -> Edges:
        """Return the edges around those that are to be added.

        Raises:
            RefusedError: Keto does not say, or there are too many.
        """
        edges = tuple(added)
        async with self._pages.in_time():
            up = await self._from({parent for _, parent in edges}, upwards=True)
            down = await self._from({child for child, _ in edges}, upwards=False)
            if up is not None and down is not None:
                return Edges(frozenset(up | down))
            return Edges(await self._all())

    async def _from(self, start: set[str], *, upwards: bool) -> set[Edge] | None:
        """Return the edges within the longest chain of `start`; None when there are many."""
        found: set[Edge] = set()
        level, seen = start, set(start)
        for _ in range(MAX_CHAIN + 1):
            self._questions += len(level)
            if self._questions > _MAX_QUESTIONS:
                return None
            answers = await asyncio.gather(*(self._next(name, upwards=upwards) for name in level))
            for edges in answers:
                if edges is None:
                    return None
                found |= edges
            level = {edge[1] if upwards else edge[0] for edge in found} - seen
            seen |= level
            if not level:
                break
        return found

    async def _next(self, name: str, *, upwards: bool) -> set[Edge] | None:
        pattern = (
            Pattern(self._namespace, name, self._relation)
            if upwards
            else Pattern(
                self._namespace,
                relation=self._relation,
                subject=SubjectSet(self._namespace, name, ""),
            )
        )
        found, has_more = await self._pages.first(self._request, pattern.to_query())
        return None if has_more else _edges(found)

    async def _all(self) -> frozenset[Edge]:
        found: set[Edge] = set()
        query = Pattern(self._namespace, relation=self._relation).to_query()
        async for page in self._pages.each(self._request, query):
            found |= _edges(page)
            if len(found) > _MAX_EDGES:
                raise RefusedError(TOO_MANY_EDGES)
        return frozenset(found)


def _edges(found: Iterable[Relationship]) -> set[Edge]:
    return {
        (each.object, each.subject.object) for each in found if isinstance(each.subject, SubjectSet)
    }
