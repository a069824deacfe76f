"""Stops work for a client that has left."""

import asyncio

from integration.edge.requests import Request

# Only a request that takes longer is worth watching.
_AFTER_SECONDS = 0.05


class ClientWatch:
    """Cancels the current task when the client of a slow request leaves."""

    def __init__(self, request: Request) -> None:
        self.client_left = False
        self._request = request
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_AFTER_SECONDS, self._begin)

    def _begin(self) -> None:
        if not self._request.body.finished:
            # Whoever reads the body sees the client leave; `receive` has one reader.
            self._timer = asyncio.get_running_loop().call_later(_AFTER_SECONDS, self._begin)
            return
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        await self._request.body.until_client_leaves()
        if self._task is not None:
            self.client_left = True
            self._task.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self.client_left and self._task is not None:
            self._task.uncancel()
