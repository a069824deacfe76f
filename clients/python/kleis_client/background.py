"""The one thread of the kit in a process: an event loop on which all requests to the issuer run.

So that threads and event loops of every kind can share what they ask for, a caller who gives up
cancels nobody else's request, and each request has one deadline for all of it. The thread starts
with the first request, ends with the process, and is made anew in a forked child.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")

_START = 10.0
"""Seconds until a started thread must have its loop."""


@dataclass(frozen=True)
class _Running:
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


class Background:
    """A daemon thread with an event loop.

    Attributes:
        generation: Moves when this process turns out to be a forked child, where no thread of
            the parent lives on. What was started under another generation is to be started again.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._left_behind: list[_Running] = []

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run `work` on the thread. Cancelling the future cancels the work."""
        with self._lock:
            if self._running is None:
                self._running = _start()
            return asyncio.run_coroutine_threadsafe(work, self._running.loop)

    def close(self) -> None:
        """Cancel everything and end the thread; the next request starts another."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.loop.call_soon_threadsafe(running.stop.set)
            running.thread.join(_START)

    def forget(self) -> None:
        """Begin anew in a forked child. The parent's loop is kept: closing it would reach there."""
        if self._running is not None:
            self._left_behind.append(self._running)
        self._lock = threading.Lock()
        self._running = None
        self.generation += 1


def _start() -> _Running:
    started: Future[_Running] = Future()

    async def stay() -> None:
        stop = asyncio.Event()
        started.set_result(_Running(threading.current_thread(), asyncio.get_running_loop(), stop))
        await stop.wait()

    def run() -> None:
        asyncio.run(stay())

    threading.Thread(target=run, name="kleis-client", daemon=True).start()
    return started.result(_START)


BACKGROUND = Background()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=BACKGROUND.forget)
atexit.register(BACKGROUND.close)
