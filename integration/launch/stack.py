"""`up`, `down`: one embedded stack from start to end."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from integration.errors import StackError
from integration.launch import kleis, openid, ports, report, sequence
from integration.launch.credentials import Credentials
from integration.launch.demo_members import demo_members
from integration.launch.files import write_json
from integration.launch.guarding import Guard
from integration.launch.home import (
    Home,
    held,
    is_held,
    launcher_of,
    make_home,
    record_processes,
    recorded_children,
)
from integration.launch.placement import collect_orphans
from integration.launch.processes import ProcessRecord, end, start_mark
from integration.launch.programs import Startup
from integration.launch.stopping import Stop, Stopped, stopped_by_signals
from integration.launch.supervisor import Supervisor
from integration.settings import StackSettings

NEEDED_BYTES = 300_000_000
"""Free space below which PostgreSQL would soon fail; an empty stack takes 100 MB."""
TICK = 0.2
LONGEST_STOP = 15.0


def up(
    settings: StackSettings,
    home: Home,
    environ: Mapping[str, str],
    *,
    say: Callable[[str], None],
    ready: Callable[[str], None],
    parent: int | None = None,
) -> None:
    """Run the stack until a signal or `down` ends it.

    Args:
        parent: The process whose end is ours too, such as `make`; None: nobody's.
        ready: Called once, with the table for the terminal.

    Raises:
        StackError: it cannot start or go on.
    """
    began = time.monotonic()
    stop = Stop()
    with _as_stack_errors(home), stopped_by_signals(stop):
        make_home(home)
        with held(home):
            home.stack.unlink(missing_ok=True)
            end_leftovers(home, say)
            collect_orphans()
            ports.require_free(ports.of(settings))
            _require_room(home)
            launcher = Launcher(settings, home, environ, stop=stop, say=say, parent=parent)
            launcher.run(ready, began)


def down(home: Home) -> bool:
    """End the stack of `home`, or what a killed launcher left of it; False if there is none.

    Raises:
        StackError: it does not end.
    """
    launcher = launcher_of(home)
    if not is_held(home):
        return bool(end(recorded_children(home)))
    if launcher is None:
        raise StackError(f"a stack is only just starting in {home.root}: try again")
    os.kill(launcher.pid, launcher.stop_signal)
    deadline = time.monotonic() + LONGEST_STOP
    while is_held(home):
        if time.monotonic() > deadline:
            raise StackError(
                f"process {launcher.pid} does not end; `kill -9 {launcher.pid}` does it"
            )
        time.sleep(0.1)
    return True


def end_leftovers(home: Home, say: Callable[[str], None]) -> None:
    """End what a killed launcher left running: only what is recorded, and still that process."""
    if ended := end(recorded_children(home)):
        say(f"ended what was left of a killed stack: {', '.join(one.name for one in ended)}")


class Launcher:
    """The process that all others hang on."""

    def __init__(
        self,
        settings: StackSettings,
        home: Home,
        environ: Mapping[str, str],
        *,
        stop: Stop,
        say: Callable[[str], None],
        parent: int | None,
    ) -> None:
        self._parent = parent
        self._settings = settings
        self._home = home
        self._stop = stop
        self._facts: dict[str, object] = {}
        pid = os.getpid()
        self._self = ProcessRecord("launcher", pid, start_mark(pid) or "", since=time.time())
        self._record([])
        self._guard = Guard()
        self._startup = Startup(environ, say, stop, self._guard.watch)
        self._supervisor = Supervisor(
            home.logs, tell_guard=self._guard.watch, say=say, changed=self._record
        )

    def run(self, ready: Callable[[str], None], began: float) -> None:
        """Start everything, then watch over it until a stop is asked for."""
        try:
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="launch") as pool:
                starting = pool.submit(self._bring_up)
                try:
                    self._watch(starting, ready, began)
                finally:
                    self._stop.request()
        except Stopped:
            return
        finally:
            self._supervisor.close()
            self._guard.close()
            self._home.stack.unlink(missing_ok=True)
            record_processes(self._home, None, [])

    def _watch(
        self, starting: Future[Credentials], ready: Callable[[str], None], began: float
    ) -> None:
        announced = False
        while not self._stop.wait(TICK) and self._parent in {None, os.getppid()}:
            self._supervisor.step()
            self._guard.step()
            if starting.done() and not announced:
                announced = True
                facts = self._announce(starting.result())
                ready(report.table(self._home, facts, seconds=time.monotonic() - began))
        if not announced:
            starting.result()

    def _bring_up(self) -> Credentials:
        plan = sequence.plan(self._settings, self._home, self._startup, self._supervisor)
        return sequence.bring_up(plan)

    def _announce(self, credentials: Credentials) -> dict[str, object]:
        public_url = kleis.public_url(self._settings, self._startup.environ)
        demo = openid.demo_for(self._settings, public_url)
        self._facts = report.facts(
            edge_url=kleis.edge_url(self._settings),
            admin_api_key=credentials.admin_api_key,
            demo_members=demo_members(credentials.demo_passwords),
            oidc_provider_url=openid.demo_issuer(self._settings) if demo else None,
            given={"kratos": self._settings.kratos_bin, "keto": self._settings.keto_bin},
        )
        self._record(self._supervisor.running())
        return self._facts

    def _record(self, children: list[ProcessRecord]) -> None:
        record_processes(self._home, self._self, children)
        if self._facts:
            pids = {one.name: one.pid for one in (self._self, *children)}
            pids["guard"] = self._guard.pid
            write_json(self._home.stack, {**self._facts, "pids": pids})


def _require_room(home: Home) -> None:
    free = shutil.disk_usage(home.root).free
    if free < NEEDED_BYTES:
        raise StackError(
            f"only {free // 1_000_000} MB are free in {home.root}: make room, "
            "or set KLEIS_HOME to a folder with more"
        )


@contextmanager
def _as_stack_errors(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or home.root
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            advice = "the disk is full: make room, or set KLEIS_HOME to a folder with more"
        else:
            advice = f"{error.strerror}; KLEIS_HOME and KLEIS_CACHE name other folders"
        raise StackError(f"{where}: {advice}") from error
