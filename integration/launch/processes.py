"""Which process is meant, and how to end it for certain.

A process number alone says little: numbers are used again. Here a process is known by its
number and the moment it was started, as the kernel tells it. Only the standard library is
imported, for the guard runs this too.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PATIENCE = 4.5
"""Seconds a process gets to end by itself before it is killed; two rounds stay under 10 s."""
POLL = 0.05


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process that leads its own process group.

    Attributes:
        started: The kernel's own note of its start, with the boot it belongs to.
        stop_signal: What asks it to end; PostgreSQL wants SIGINT for "now, but cleanly".
        is_database: Ended after those that use it.
        since: Wall clock, in seconds of the epoch.
    """

    name: str
    pid: int
    started: str
    stop_signal: int = signal.SIGTERM
    is_database: bool = False
    since: float = 0.0

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def start_mark(pid: int) -> str | None:
    """Return what tells this process from a later one of its number; None when it is gone.

    A zombie counts as gone. Source: proc(5), field 22 of `stat`; `ps -o lstart` elsewhere.
    """
    if Path("/proc/self/stat").exists():
        return _start_mark_linux(pid)
    ps = shutil.which("ps") or "/bin/ps"
    answer = subprocess.run(
        [ps, "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if state and not state.startswith("Z") else None


def _start_mark_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name, in parentheses, may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"


def is_running(record: ProcessRecord) -> bool:
    return start_mark(record.pid) == record.started


def send(record: ProcessRecord, number: int) -> None:
    """Signal the whole group; PostgreSQL's own processes are told by their parent."""
    with suppress(ProcessLookupError, PermissionError):
        if record.is_database and number != signal.SIGKILL:
            os.kill(record.pid, number)
        else:
            os.killpg(record.pid, number)


def end(
    records: Sequence[ProcessRecord],
    *,
    alive: Callable[[ProcessRecord], bool] = is_running,
    patience: float = PATIENCE,
) -> list[ProcessRecord]:
    """End `records` and what they started, databases last; return those that were running.

    Takes at most twice `patience` seconds.
    """
    ended: list[ProcessRecord] = []
    for is_database in (False, True):
        running = [one for one in records if one.is_database == is_database and alive(one)]
        ended += running
        _end_together(running, alive, patience)
    return ended


def _end_together(
    running: list[ProcessRecord], alive: Callable[[ProcessRecord], bool], patience: float
) -> None:
    for record in running:
        send(record, record.stop_signal)
    deadline = time.monotonic() + patience
    left = list(running)
    while left and time.monotonic() < deadline:
        time.sleep(POLL)
        left = [record for record in left if alive(record)]
    for record in running:
        # Also where the leader is gone: what it started may have stayed.
        if record in left or not record.is_database:
            send(record, signal.SIGKILL)
    while left and time.monotonic() < deadline + 1:
        time.sleep(POLL)
        left = [record for record in left if alive(record)]
