"""One flag for "the stack is to stop", safe to raise in a signal handler."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):  # noqa: N818  (not an error: somebody asked for it)
    """Start-up was told to stop."""


class Stop:
    """Set once, waited on by many threads.

    A pipe and not `threading.Event`: an event set by a signal handler can lock up against the
    very thread that waits on it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def request(self) -> None:
        os.write(self._writer, b".")

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; tell whether a stop was asked for."""
        return bool(select.select([self._reader], [], [], seconds)[0])

    def pause(self, seconds: float) -> None:
        """Wait, as part of start-up.

        Raises:
            Stopped: a stop was asked for.
        """
        if self.wait(seconds):
            raise Stopped


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal ask for a stop, within this block."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.request()

    earlier: dict[int, Callable[..., object] | int | None] = {
        number: signal.signal(number, ask)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
