"""Who answers a request, by the handling its route names.

A handler is one method of a class of its subject, `(request, route) -> Answer`; `assembly.py`
names them all. What is in neither table is passed on as it is.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from integration.edge.asgi import Answer, Reply
from integration.edge.exchange import Exchange
from integration.edge.flows.self_service import is_submit
from integration.edge.requests import Request
from integration.edge.routes import Handling, Route

_FINISH_SECONDS = 5.0

Handler: TypeAlias = Callable[[Request, Route], Coroutine[Any, Any, Answer]]
Forward: TypeAlias = Callable[[Request, Route, Reply], Coroutine[Any, Any, None]]


class Handlings:
    """Finds the handler, and lets writes come to their end.

    Attributes:
        reads: Handlers of what changes nothing; they stop when the client leaves.
        writes: Handlers of what changes something; they go on without their client.
        forwards: Who passes on what is answered as it comes, where not everything is passed on.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        reads: Mapping[Handling, Handler],
        writes: Mapping[Handling, Handler],
        forwards: Mapping[Handling, Forward],
    ) -> None:
        self._exchange = exchange
        self._reads = reads
        self._writes = writes
        self._forwards = forwards
        self._running: set[asyncio.Task[Answer]] = set()

    async def handle(self, request: Request, route: Route, reply: Reply) -> None:
        """Answer a request.

        Raises:
            RefusedError: nothing was sent yet; the caller says why.
        """
        if route.handling in self._writes and is_submit(request):
            writing = self._writes[route.handling](request, route)
            await reply.whole(await self._to_its_end(writing))
        elif route.handling in self._reads:
            await reply.whole(await self._reads[route.handling](request, route))
        else:
            forward = self._forwards.get(route.handling, self._exchange.forward)
            await forward(request, route, reply)

    async def _to_its_end(self, writing: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for a write that goes on without its client.

        Whoever leaves early neither cuts a write of Kratos in two, nor frees its lock before
        it is done, nor keeps a guard from learning how it ended.
        """
        task = asyncio.create_task(writing)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Let writes whose clients left come to their end, within a bound."""
        if self._running:
            await asyncio.wait(self._running, timeout=_FINISH_SECONDS)

    def _forget(self, task: asyncio.Task[Answer]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Else asyncio complains about a refusal that nobody was left to hear.
            task.exception()
