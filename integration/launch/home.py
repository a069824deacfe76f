"""The folder that holds one embedded stack, and the lock that says who runs it."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from integration.errors import StackError
from integration.launch.files import read_json, write_json
from integration.launch.processes import ProcessRecord, is_running

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Home:
    """Names of everything in `KLEIS_HOME`."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @property
    def state(self) -> Path:
        """What is remembered between starts: folders outside the home, migrations done."""
        return self.root / "state.json"

    @property
    def stack(self) -> Path:
        """Machine-readable facts of the running stack; a promised name."""
        return self.root / "stack.json"

    @property
    def settings(self) -> Path:
        """The `KLEIS_*` variables of our processes, for commands beside a running stack."""
        return self.root / "settings.json"

    @property
    def processes(self) -> Path:
        """Which processes belong to this home, the launcher among them."""
        return self.root / "processes.json"

    @property
    def demo_provider(self) -> Path:
        """What the demo OpenID provider is told; has the secret it shares with Kratos."""
        return self.root / "demo-provider.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def kratos_configuration(self) -> Path:
        return self.root / "kratos" / "kratos.yml"

    @property
    def keto_configuration(self) -> Path:
        return self.root / "keto" / "keto.yml"


def home_at(folder: Path) -> Home:
    """Return the home at `folder`; a relative one is meant from the checkout."""
    return Home(root=(CHECKOUT / folder.expanduser()).resolve())


def make_home(home: Home) -> None:
    """Create the folders of `home`, closed to others.

    As root the folder can be passed through, not listed: PostgreSQL runs as another account
    and keeps its data in here. Every file in it is private.
    """
    passable = stat.S_IXGRP | stat.S_IXOTH if os.geteuid() == 0 else 0
    home.root.mkdir(parents=True, exist_ok=True)
    home.root.chmod(stat.S_IRWXU | passable)
    for folder in (home.logs, home.kratos_configuration.parent, home.keto_configuration.parent):
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Hold `home` for this process.

    The lock ends with the process, however it ends.

    Raises:
        StackError: somebody else holds it.
    """
    with home.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(_already_running(home)) from None
        yield


def is_held(home: Home) -> bool:
    """Whether a launcher runs on `home`."""
    try:
        with home.lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def launcher_of(home: Home) -> ProcessRecord | None:
    """Return the launcher recorded in `home`, if it is still that process."""
    with suppress(KeyError, TypeError):
        record = ProcessRecord(**read_json(home.processes)["launcher"])
        return record if is_running(record) else None
    return None


def recorded_children(home: Home) -> list[ProcessRecord]:
    try:
        return [ProcessRecord(**item) for item in read_json(home.processes).get("children", [])]
    except TypeError:
        return []


def record_processes(
    home: Home, launcher: ProcessRecord | None, children: list[ProcessRecord]
) -> None:
    write_json(
        home.processes,
        {
            "launcher": launcher.as_dict() if launcher else None,
            "children": [child.as_dict() for child in children],
        },
    )


def _already_running(home: Home) -> str:
    launcher = launcher_of(home)
    process = f" (process {launcher.pid})" if launcher else ""
    edge = read_json(home.stack).get("edge_url", "")
    at = f" at {edge}" if edge else ""
    return (
        f"a stack is already running in {home.root}{process}{at}; "
        "end it with `make down`, or set KLEIS_HOME and KLEIS_PORT_* for a second one"
    )
