"""Writes of tuples: validated, in one order, once, written down, and heard of.

One writer at a time: Keto v0.13 inserts what is there a second time, and parallel PATCHes deadlock
in its database. What is refused here never reaches Keto.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import structlog

from integration.edge.api_keys import ApiKeys
from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.identity_lock import IdentityLocks
from integration.edge.problems import RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.tuples.audit import TupleAudit, shown, subjects_of, with_epochs
from integration.edge.tuples.keto_pages import KetoPages
from integration.edge.tuples.ledger import Object, TupleLedger
from integration.edge.tuples.parent_walk import ParentWalk
from integration.edge.tuples.role_writes import RoleWrites
from integration.edge.tuples.store import TupleStore
from integration.edge.tuples.tuple_requests import (
    created,
    patch_body,
    pattern_of,
    put_body,
    refusal_of,
    writes_of,
)
from policies.decisions import Deny
from policies.parent_edges import Edge, decide_edges
from policies.relation_model import RelationModel
from policies.relationships import Relationship, SubjectSet
from policies.role_writes import is_guest
from policies.tuple_deletes import Pattern, decide_authority_pattern
from policies.tuple_writes import TupleWrites, decide_authority

log = structlog.get_logger()

_ROLES = "roles:write"
_DEADLOCK = b"40P01"
_NO_CONTENT = Answer(204, [], b"")

_Ask = Callable[[], Awaitable[Answer]]


class TupleAdmin:
    """Answers PUT, PATCH and DELETE of `/admin/relation-tuples`."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        model: RelationModel,
        keys: ApiKeys,
        locks: IdentityLocks,
        pages: KetoPages,
        ledger: TupleLedger,
        audit: TupleAudit,
        roles: RoleWrites,
        epochs: Epochs,
    ) -> None:
        self._exchange = exchange
        self._model = model
        self._keys = keys
        self._locks = locks
        self._pages = pages
        self._ledger = ledger
        self._store = TupleStore(pages, ledger)
        self._audit = audit
        self._roles = roles
        self._epochs = epochs

    async def write(self, request: Request, route: Route) -> Answer:
        """Return Keto's answer to a write; the epochs from which on it holds are told with it.

        Raises:
            RefusedError: nothing was written, or nobody can say.
        """
        # Read first: a slow sender must not hold the lock.
        body = await self._exchange.whole_body(request)
        try:
            if request.method == "DELETE":
                return await self._delete(request, route, pattern_of(self._model, request, body))
            return await self._change(request, route, writes_of(self._model, request, body))
        finally:
            # Also where nobody can say: Keto may have written.
            await self._epochs.catch_up()

    async def _change(self, request: Request, route: Route, writes: TupleWrites) -> Answer:
        done = created(writes.insert[0]) if request.method == "PUT" else _NO_CONTENT
        if await self._is_of_roles(request, writes):
            return await self._roles.carried_out(request, writes, done)
        async with self._locks.writing_tuples():
            present = await self._store.present(request, writes.insert)
            missing = tuple(each for each in writes.insert if each not in present)
            left = TupleWrites(missing, writes.delete)
            await self._refuse_circles(request, left)
            touched = subjects_of((*writes.insert, *writes.delete))
            if not left.insert and not left.delete:
                return with_epochs(done, await self._audit.epochs(touched))
            sent = put_body(left.insert[0]) if request.method == "PUT" else patch_body(left)

            async def ask() -> Answer:
                return await self._exchange.ask(request, route, body=sent)

            tuples = shown(insert=left.insert, delete=left.delete)
            objects = {(each.namespace, each.object) for each in left.insert}
            return await self._written(request, ask, tuples, touched, objects)

    async def _delete(self, request: Request, route: Route, pattern: Pattern) -> Answer:
        if pattern.needs_roles:
            await self._keys.require(request.headers, _ROLES)
        if pattern.is_of_authority:
            named = decide_authority_pattern(pattern)
            if isinstance(named, Deny):
                raise RefusedError(refusal_of(named))
            if not is_guest(named):
                writes = TupleWrites(delete=(named,))
                return await self._roles.carried_out(request, writes, _NO_CONTENT)
        query = urlencode(pattern.to_query())

        async def ask() -> Answer:
            return await self._exchange.ask(request, route, body=b"", query=query)

        async with self._locks.writing_tuples():
            one = pattern.to_relationship()
            if one is not None:
                tuples = shown(insert=(), delete=(one,))
                return await self._written(request, ask, tuples, subjects_of((one,)))
            found = await self._store.matching(request, pattern)
            described = {"matching": pattern.to_query(), "count": len(found)}
            answer = await self._written(request, ask, described, subjects_of(found))
            if pattern == Pattern(pattern.namespace) and answer.status == 204:
                await self._ledger.begin_anew(pattern.namespace)
            return answer

    async def _is_of_roles(self, request: Request, writes: TupleWrites) -> bool:
        """Tell whether our own state is to change instead of Keto.

        Raises:
            RefusedError: the key may not, or nobody may.
        """
        if not writes.is_of_authority:
            return False
        await self._keys.require(request.headers, _ROLES)
        roles = decide_authority(writes)
        if isinstance(roles, Deny):
            raise RefusedError(refusal_of(roles))
        return bool(roles)

    async def _written(
        self,
        request: Request,
        ask: _Ask,
        tuples: Mapping[str, Any],
        touched: Iterable[UUID],
        objects: Iterable[Object] = (),
    ) -> Answer:
        """Let Keto write, with the row and the epochs before and after it."""
        call_id, subjects = uuid4(), tuple(touched)
        await self._audit.begin(
            call_id,
            request,
            action=request.method.lower(),
            tuples=tuples,
            subjects=subjects,
            objects=objects,
        )
        status: int | None = None
        try:
            answer = await ask()
            if answer.status == 500 and _DEADLOCK in answer.body:
                # Somebody wrote past us. Keto has rolled back: safe to send again.
                log.warning("keto_deadlock", request_id=request.id)
                answer = await ask()
            status = answer.status
        finally:
            epochs = await self._audit.end(call_id, status=status, subjects=subjects)
        return with_epochs(self._exchange.judged(answer), epochs)

    async def _refuse_circles(self, request: Request, writes: TupleWrites) -> None:
        added, removed = _chained(self._model, writes.insert), _chained(self._model, writes.delete)
        for (namespace, relation), edges in added.items():
            walk = ParentWalk(self._pages, request, namespace=namespace, relation=relation)
            known = await walk.around(edges)
            gone = removed.get((namespace, relation), ())
            fault = decide_edges(known.changed(add=edges, remove=gone), edges)
            if fault is not None:
                raise RefusedError(refusal_of(fault))


def _chained(
    model: RelationModel, tuples: Iterable[Relationship]
) -> Mapping[tuple[str, str], list[Edge]]:
    """Return the edges that could close a circle, by namespace and relation."""
    found: dict[tuple[str, str], list[Edge]] = {}
    for each in tuples:
        if isinstance(each.subject, SubjectSet) and model.can_close_a_circle(
            each.namespace, each.relation
        ):
            place = (each.namespace, each.relation)
            found.setdefault(place, []).append((each.object, each.subject.object))
    return found
