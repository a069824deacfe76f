"""A whole embedded stack for tests: own home, own ports, the shared cache of built servers."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from integration.launch.home import home_at
from integration.launch.placement import remove_outside
from integration.launch.postgres import SUPERUSER
from tests import steady_postgres

KLEIS = Path(sys.executable).with_name("kleis")
PORTS = (
    "EDGE",
    "HOOKS",
    "SERVICE",
    "KRATOS_PUBLIC",
    "KRATOS_ADMIN",
    "KETO_READ",
    "KETO_WRITE",
    "KETO_METRICS",
    "KETO_OPL",
    "OIDC",
)
START = 540.0
"""Seconds until ready; all but a few of them only where the servers must be built first."""
PATIENCE = 60.0
"""Seconds until something has happened that takes a few on a machine that is not busy."""
# What a busy machine is late with would count as no answer, and as denied.
PATIENT = {"KLEIS_CONNECT_TIMEOUT": "PT5S", "KLEIS_DECISION_TIMEOUT": "PT10S"}
PORTS_TO_CHOOSE_FROM = range(20_000, 32_000)
INHERITED = ("KLEIS_CACHE", "KLEIS_KRATOS_BIN", "KLEIS_KETO_BIN")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different, and no other test run is given them.

    They lie below the range from which systems take the local ports of connections, so that none
    is lost to one while its server starts, or is down for a test. The UDP port of the same number
    stays bound until this process ends: who asks next, here or in another process, passes it by.
    """
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS_TO_CHOOSE_FROM)
        if _is_free(port) and _reserve(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reserve(port: int) -> bool:
    reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return False
    reservation.detach()
    return True


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()[:1] not in {"", "Z"}


class PrivateStack:
    """One stack; `start` and `stop` may be called again and again."""

    # A second OpenID provider, beside the demo; set by whoever runs one.
    rival: Any = None

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, *, is_measured: bool = False
    ) -> None:
        """Args:
        is_measured: It has the patience it ships with, and PostgreSQL waits for the disk.
        """
        self._is_measured = is_measured
        self.home = folder / "home"
        self.output = folder / "up.txt"
        ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
        given = {name: value for name, value in os.environ.items() if not name.startswith("KLEIS_")}
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environ = {
            **given,
            **kept,
            **{f"KLEIS_PORT_{name}": str(port) for name, port in ports},
            "KLEIS_HOME": str(self.home),
            "KLEIS_BCRYPT_COST": "4",
            **({} if is_measured else PATIENT),
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.facts: dict[str, Any] = {}

    @property
    def edge_url(self) -> str:
        return str(self.facts["edge_url"])

    @property
    def database_url(self) -> str:
        return str(json.loads((self.home / "settings.json").read_text())["KLEIS_DATABASE_URL"])

    @property
    def kratos_database_url(self) -> str:
        return self._database_of("kratos", "kratos", "kratos_password")

    def _database_of(self, role: str, name: str, password: str) -> str:
        secret = json.loads((self.home / "credentials.json").read_text())[password]
        sockets = self.database_url.partition("?host=")[2]
        return f"postgresql://{role}:{secret}@/{name}?host={sockets}"

    def start(self) -> None:
        """Start it in the foreground of a process of ours and wait until it is ready."""
        if self.process is not None:
            self.process.wait(timeout=PATIENCE)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [KLEIS, "up"], env=self.environ, stdout=output, stderr=output
            )
        facts = self.home / "stack.json"
        deadline = time.monotonic() + START
        while "is ready" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        self.facts = json.loads(facts.read_text())
        if not self._is_measured:
            steady_postgres.tell(self._database_of(SUPERUSER, "postgres", "postgres_password"))

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        self.run("down")
        if self.process is not None:
            self.process.wait(timeout=PATIENCE)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        remove_outside(home_at(self.home))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `kleis` with the settings of this stack."""
        return subprocess.run(
            [KLEIS, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=START,
        )

    def said(self) -> str:
        """What it wrote to the terminal since its last start."""
        return self.output.read_text() if self.output.exists() else ""

    def log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text()

    def pids(self) -> dict[str, int]:
        """Return the processes that run now, by name, the launcher and the guard among them."""
        return dict(json.loads((self.home / "stack.json").read_text())["pids"])

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Signal one process of the stack and return its number."""
        pid = self.pids()[name]
        os.kill(pid, number)
        return pid

    def await_restart(self, name: str, old: int, *, seconds: float = PATIENCE) -> int:
        """Wait until `name` runs as another process than `old`."""
        deadline = time.monotonic() + seconds
        while (now := self.pids().get(name, old)) == old:
            assert time.monotonic() < deadline, f"{name} did not come back\n{self.said()}"
            time.sleep(0.1)
        return now
