"""A PostgreSQL of one file of tests alone, to be killed and paused."""

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from integration.db.migrations.upgrade import upgrade
from integration.launch import postgres, programs
from integration.launch.guarding import Guard
from integration.launch.home import home_at, make_home
from integration.launch.placement import place, remove_outside
from integration.launch.stopping import Stop
from tests import steady_postgres


class Server:
    """It starts when it is made."""

    def __init__(self, folder: Path) -> None:
        self._guard = Guard()
        self._home = home = home_at(folder)
        make_home(home)
        roles = (postgres.SUPERUSER, *postgres.DATABASES)
        passwords = {role: secrets.token_hex(8) for role in roles}
        self._cluster = postgres.Cluster(place(home, postgres.installed_programs()), passwords)
        nothing = programs.Startup({}, print, Stop(), self._guard.watch)
        postgres.prepare(self._cluster, nothing)
        steady_postgres.configure(self._cluster.placement.data)
        self.url = self._cluster.url("kleis")
        self.start()
        postgres.make_databases(self._cluster)
        upgrade(self.url)

    def start(self) -> None:
        with Path(os.devnull).open("wb") as output:
            program = postgres.program(self._cluster)
            self._process = programs.spawn(program, output=output.fileno())
        self._guard.watch(programs.record_of(program, self._process.pid))
        deadline = time.monotonic() + 60
        while not postgres.is_ready(self._cluster):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(postgres.program(self._cluster).stop_signal)
        self._process.wait(30)
        self._guard.close()
        remove_outside(self._home)

    def pause(self) -> None:
        """Let nothing of it run, so that it answers nobody and refuses nobody."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        postmaster = self._process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            # One that has just ended needs no signal.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
