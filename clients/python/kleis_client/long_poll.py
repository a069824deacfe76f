"""A task that keeps asking the issuer for what changed, on the background thread.

Each poll is held by the issuer until something changes or `wait` seconds are over. After a failure
the pause doubles up to `LONGEST_PAUSE`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from kleis_client.background import BACKGROUND

LONGEST_WAIT = 25.0
"""Seconds that the issuer holds a poll at most."""
MARGIN = 5.0
"""Seconds on top of `wait` until a poll counts as failed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two polls when they fail."""
SHORTEST_PAUSE = 0.05
"""Seconds between two polls that bring something."""

_log = logging.getLogger(__name__)


class LongPoll:
    """Polls from `start` to `close`.

    Args:
        poll: Does one poll and takes in its answer; returns whether it brought anything.
        name: What is polled, for the log.
        wait: Seconds that one poll may be held.
    """

    def __init__(
        self,
        poll: Callable[[], Awaitable[bool]],
        *,
        name: str,
        wait: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < wait <= LONGEST_WAIT:
            raise ValueError(f"wait is above 0 and at most {LONGEST_WAIT:.0f} seconds")
        self._poll, self._name, self._wait, self._timer = poll, name, wait, timer
        self._task: tuple[int, Future[None]] | None = None
        self._closed = False
        self._me = object()
        self._first: Future[None] = Future()
        self.heard_at = float("-inf")
        self.failing = False

    def start(self) -> None:
        """Begin, unless it runs already. In a forked child it begins again."""
        task = self._task
        if self._closed or (task is not None and task[0] == BACKGROUND.generation):
            return
        # Two threads may both come here: `_keep_asking` lets only the last task live on.
        generation = BACKGROUND.generation
        self._task = (generation, BACKGROUND.submit(self._keep_asking()))

    def pending(self) -> Future[None] | None:
        """Start if need be; return the end of the very first poll while it has not come."""
        self.start()
        return None if self._first.done() else self._first

    def silence(self) -> float:
        """Return the seconds since the issuer was last heard; infinite before the first time."""
        return self._timer() - self.heard_at

    def close(self) -> None:
        """Stop polling, for good. Nothing is heard any more from here on."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None and task[0] == BACKGROUND.generation:
            task[1].cancel()
        self.heard_at = float("-inf")

    async def _keep_asking(self) -> None:
        me = self._me = object()
        pause = FIRST_PAUSE
        while self._me is me and not self._closed:
            began = self._timer()
            try:
                async with asyncio.timeout(self._wait + MARGIN):
                    brought = await self._poll()
            except Exception as error:  # noqa: BLE001 - nothing may end a feed
                self._fail(error)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self._hear()
            pause = FIRST_PAUSE
            # An issuer or proxy that does not hold polls must not be asked in a tight loop.
            early = not brought and self._timer() - began < self._wait / 2
            await asyncio.sleep(min(1.0, self._wait) if early else SHORTEST_PAUSE)

    def _hear(self) -> None:
        if self.failing:
            _log.info("the issuer is heard again", extra={"feed": self._name})
        self.failing = False
        self.heard_at = self._timer()
        self._settle()

    def _fail(self, error: Exception) -> None:
        if not self.failing:
            _log.warning(
                "the issuer is not heard", extra={"feed": self._name, "error": repr(error)}
            )
        self.failing = True
        self._settle()

    def _settle(self) -> None:
        if not self._first.done():
            self._first.set_result(None)
