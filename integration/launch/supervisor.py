"""Keeps the stack's processes running, and says so when one does not."""

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from integration.errors import StackError
from integration.launch.files import last_lines
from integration.launch.processes import ProcessRecord, end, send
from integration.launch.programs import Program, indented, record_of, spawn
from integration.launch.stopping import Stopped

FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0
"""Seconds before a dead process is started again, doubling from one to the other."""
TOO_MANY_DEATHS = 5
WITHIN = 60.0
"""So many deaths of one process within so many seconds end the stack."""


@dataclass(slots=True)
class Child:
    """One program and the process that runs it now; `process` is None between two of them."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None
    record: ProcessRecord | None = None
    restart_at: float = 0.0
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=TOO_MANY_DEATHS))


class Supervisor:
    """Starts programs, each with its own process group and log file, and restarts the dead.

    `step` is called a few times a second by the launcher's main thread; `start` by any.

    Args:
        logs: Folder of the log files.
        tell_guard: Hears of every process that is started.
        say: Shows one line to the person at the terminal.
        changed: Called after every start with the processes that run now.
    """

    def __init__(
        self,
        logs: Path,
        *,
        tell_guard: Callable[[ProcessRecord], None],
        say: Callable[[str], None],
        changed: Callable[[list[ProcessRecord]], None],
    ) -> None:
        self._logs = logs
        self._tell_guard = tell_guard
        self._say = say
        self._changed = changed
        self._children: dict[str, Child] = {}
        self._lock = threading.Lock()
        self._closing = False

    def start(self, program: Program) -> None:
        """Run `program` until `close`.

        Raises:
            Stopped: the stack is being ended.
        """
        log = self._logs / f"{program.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with self._lock:
            if self._closing:
                raise Stopped
            child = Child(program, log)
            self._children[program.name] = child
            self._run(child)

    def running(self) -> list[ProcessRecord]:
        return [child.record for child in self._children.values() if child.record]

    def step(self) -> None:
        """Notice the dead, and start again what has waited long enough.

        Raises:
            StackError: one of them died too often.
        """
        now = time.monotonic()
        with self._lock:
            for child in self._children.values():
                if child.process and child.process.poll() is not None:
                    self._bury(child, now)
                elif child.process is None and now >= child.restart_at:
                    self._run(child)

    def close(self) -> None:
        """End every process; takes at most 10 s."""
        with self._lock:
            self._closing = True
            children = {child.record: child for child in self._children.values() if child.record}

            def alive(record: ProcessRecord) -> bool:
                process = children[record].process
                return process is not None and process.poll() is None

            end(list(children), alive=alive)

    def _run(self, child: Child) -> None:
        program = child.program
        with child.log.open("ab") as log:
            child.process = spawn(program, output=log.fileno())
        child.record = record_of(program, child.process.pid)
        self._tell_guard(child.record)
        self._changed(self.running())

    def _bury(self, child: Child, now: float) -> None:
        process, name = child.process, child.program.name
        code = process.returncode if process else 0
        if child.record:
            # What it started itself must not stay and keep a port.
            send(child.record, signal.SIGKILL)
        child.process = child.record = None
        child.deaths.append(now)
        recent = sum(1 for moment in child.deaths if now - moment < WITHIN)
        said = last_lines(child.log)
        if recent >= TOO_MANY_DEATHS:
            raise StackError(
                f"{name} died {recent} times in a minute ({_how(code)}); "
                f"its log is {child.log}\n" + indented(said)
            )
        wait = min(FIRST_WAIT * 2 ** (recent - 1), LONGEST_WAIT)
        child.restart_at = now + wait
        self._say(f"{name} died ({_how(code)}), starting it again in {wait:g} s; its last lines:")
        self._say(indented(said))


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
