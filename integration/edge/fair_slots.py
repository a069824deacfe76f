"""Turns at something that only so many may do at once: each who waits gets its share.

In one queue, whoever comes with a thousand pieces of work makes all others wait for all of them.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """`count` slots. While several wait, a free one goes to each of them in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        # By who waits; the first is next.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def held(self, who: str) -> AsyncIterator[None]:
        """Hold a slot, in the name of `who` shares it with others."""
        await self._take(who)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, who: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given a slot and is gone before it could know.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            who, queue = next(iter(self._waiting.items()))
            turn = queue.popleft()
            if queue:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
