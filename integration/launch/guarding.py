"""The launcher's end of the guard."""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress

from integration.launch.processes import PATIENCE, ProcessRecord


class Guard:
    """A process that ends ours when we are killed; see `integration.launch.guard`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, ProcessRecord] = {}
        self._process = _start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, record: ProcessRecord) -> None:
        """Tell the guard of a process that must not outlive us."""
        with self._lock:
            self._records[record.name] = record
            self._tell(record)

    def step(self) -> None:
        """Put another in its place when it was killed."""
        with self._lock:
            if self._process.poll() is not None:
                self._hang_up()
                self._process = _start()
                for record in self._records.values():
                    self._tell(record)

    def close(self) -> None:
        """Let the guard see to what is left, and go."""
        self._hang_up()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2 * PATIENCE + 1)

    def _hang_up(self) -> None:
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _tell(self, record: ProcessRecord) -> None:
        with suppress(BrokenPipeError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(record.as_dict()).encode() + b"\n")
                self._process.stdin.flush()


def _start() -> subprocess.Popen[bytes]:
    # The pipe is ours alone: children inherit none of it, so its end is our end.
    return subprocess.Popen(
        [sys.executable, "-m", "integration.launch.guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": os.defpath},
        start_new_session=True,
    )
