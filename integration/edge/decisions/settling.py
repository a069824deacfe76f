"""Has Keto told what is true of a subject, before it is asked about.

The work is the service's, under the identity's lock; here is only the call, on its private port.
"""

import asyncio
import json

import structlog

from integration.edge.decisions.upstream import DecisionUpstream
from integration.edge.problems import RefusedError

log = structlog.get_logger()

# Each takes up to two of the service's connections, which logins need as well.
AT_ONCE = 4
# About as long as a batch may take; whoever asks for less gives up before.
_PATIENCE_SECONDS = 5.0


class Settling:
    """Calls `/hooks/authority/settle`."""

    def __init__(self, upstream: DecisionUpstream, *, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._next: dict[str, asyncio.Task[bool]] = {}
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def settle(self, subject_id: str) -> bool:
        """Tell whether, since this was called, Keto has held exactly what is true.

        A call that is under way may have looked before something changed: whoever comes while it
        runs shares the next one.
        """
        task = self._next.get(subject_id)
        if task is None:
            task = asyncio.create_task(self._after(subject_id, self._running.get(subject_id)))
            self._next[subject_id] = task
        return await asyncio.shield(task)

    async def _after(self, subject_id: str, running: asyncio.Task[bool] | None) -> bool:
        if running is not None:
            await asyncio.wait([running])
        task = self._next.pop(subject_id)
        self._running[subject_id] = task
        try:
            return await self._call(subject_id)
        finally:
            if self._running.get(subject_id) is task:
                del self._running[subject_id]

    async def _call(self, subject_id: str) -> bool:
        body = json.dumps({"subject_id": subject_id}).encode()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            log.warning("subject_not_settled", error="Busy")
            return False
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._upstream.settle(body)
        except (RefusedError, TimeoutError) as error:
            log.warning("subject_not_settled", error=type(error).__name__)
            return False
        finally:
            self._slots.release()
        if status != 204:
            log.warning("subject_not_settled", status=status)
        return status == 204
