"""What is run: a program, and how to run one to its end."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from integration.errors import StackError
from integration.launch.processes import ProcessRecord, start_mark
from integration.launch.stopping import Stop

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a program runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack.

    Attributes:
        stop_signal: What asks it to end.
        is_database: Others use it, so it is ended last.
        account: None: as whoever runs the launcher.
    """

    name: str
    argv: Sequence[str | Path]
    environ: Mapping[str, str]
    folder: Path = Path("/")
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    is_database: bool = False


@dataclass(frozen=True, slots=True)
class Startup:
    """What the steps of starting up share.

    Attributes:
        environ: The operator's environment.
        say: Shows one line to the person at the terminal.
        stop: Ends start-up between two steps.
        watch: Tells the guard of a process that must not outlive the launcher.
    """

    environ: Mapping[str, str]
    say: Callable[[str], None]
    stop: Stop
    watch: Callable[[ProcessRecord], None]


def bare(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the servers get of our environment.

    Kratos and Keto read any setting of theirs from variables without a prefix (`LOG_LEVEL`,
    `SERVE_…`): a stray one must not override the configuration file. The same goes for `PG…`.
    """
    return {name: environ[name] for name in INHERITED if name in environ}


def spawn(program: Program, *, output: int) -> subprocess.Popen[bytes]:
    """Run `program` in a process group of its own, both its outputs to `output`.

    Raises:
        StackError: it cannot be run at all.
    """
    account = program.account
    try:
        return subprocess.Popen(
            program.argv,
            env=dict(program.environ),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        raise StackError(
            f"{program.name} cannot be run: {program.argv[0]}: {error.strerror}"
        ) from None


def indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines) if lines else "    (nothing logged)"


def run_once(
    program: Program,
    startup: Startup,
    *,
    failure: str,
    seconds: float = 300.0,
    tick: Callable[[], None] = lambda: None,
) -> str:
    """Run `program` to its end and return what it printed.

    Raises:
        StackError: it failed, or took longer than `seconds`; `failure` and its last lines.
        Stopped: the stack is to stop; the program was killed.
    """
    with tempfile.TemporaryFile() as output:
        process = spawn(program, output=output.fileno())
        try:
            startup.watch(record_of(program, process.pid))
            _wait(process, startup.stop, seconds, tick)
        finally:
            _kill(process)
        output.seek(0)
        text = output.read().decode("utf-8", errors="replace")
    if process.returncode != 0:
        lines = [line for line in text.splitlines() if line.strip()][-8:]
        raise StackError(f"{failure}; its last lines:\n{indented(lines)}")
    return text


def record_of(program: Program, pid: int) -> ProcessRecord:
    return ProcessRecord(
        name=program.name,
        pid=pid,
        # Empty for one that is dead already; whoever waits for it notices.
        started=start_mark(pid) or "",
        stop_signal=program.stop_signal,
        is_database=program.is_database,
        since=time.time(),
    )


def _wait(
    process: subprocess.Popen[bytes], stop: Stop, seconds: float, tick: Callable[[], None]
) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        stop.pause(0.02)
        tick()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with what it started itself, as a compiler starts others."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
