"""Keto alone on a PostgreSQL of the tests: the built server, our model, strict mode, depth 10."""

import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from integration.launch import binaries, ory, programs
from integration.launch.configuration import KetoConfiguration, render
from integration.launch.guarding import Guard
from integration.launch.home import CHECKOUT
from integration.launch.programs import Startup, bare
from integration.launch.stopping import Stop
from tests.private_stack import free_ports

_AT_ONCE = 8


class KetoServer:
    """Keto's two ports, asked without anything of ours in between."""

    def __init__(self, read: httpx.Client, write: httpx.Client) -> None:
        self.read = read
        self.write = write
        self.read_url = str(read.base_url)
        self.write_url = str(write.base_url)

    def insert(self, *tuples: dict[str, Any]) -> None:
        self.patch(*({"action": "insert", "relation_tuple": each} for each in tuples))

    def delete(self, *tuples: dict[str, Any]) -> None:
        self.patch(*({"action": "delete", "relation_tuple": each} for each in tuples))

    def patch(self, *operations: dict[str, Any]) -> None:
        answer = self.write.patch("/admin/relation-tuples", json=operations)
        assert answer.status_code == 204, answer.text

    def allowed(self, asked: dict[str, Any], *, depth: int = 10) -> bool:
        """Ask one check; anything but a clear answer fails the test."""
        answer = self.read.post(
            "/relation-tuples/check/openapi", json=asked, params={"max-depth": depth}
        )
        assert answer.status_code == 200, f"{asked}: {answer.text}"
        allowed = answer.json()["allowed"]
        assert isinstance(allowed, bool)
        return allowed

    def all_allowed(self, asked: Iterable[dict[str, Any]], *, depth: int = 10) -> list[bool]:
        """Ask many checks, some at once; answers in the same order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda each: self.allowed(each, depth=depth), asked))

    def listed(self, **query: str) -> list[dict[str, Any]]:
        """Return every tuple that matches, copies included."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            params = {**query, "page_size": "500", "page_token": token}
            body = self.read.get("/relation-tuples", params=params).json()
            found += body.get("relation_tuples", [])
            token = body.get("next_page_token", "")
            if not token:
                return found


@contextmanager
def keto_running(database_url: str, folder: Path) -> Iterator[KetoServer]:
    """Migrate an empty database and serve it until the end of the block."""
    with ExitStack() as stack:
        guard = Guard()
        stack.callback(guard.close)
        startup = Startup(os.environ, print, Stop(), guard.watch)
        given = os.environ.get("KLEIS_KETO_BIN")
        cache = os.environ.get("KLEIS_CACHE")
        binary = binaries.obtain(
            binaries.KETO,
            given=Path(given) if given else None,
            cache=Path(cache).expanduser() if cache else binaries.default_cache(os.environ),
            startup=startup,
        )
        read, write, metrics, opl = free_ports(4)
        values = KetoConfiguration(
            dsn=_dsn(database_url),
            folder=str(CHECKOUT / "keto"),
            port_read=read,
            port_write=write,
            port_metrics=metrics,
            port_opl=opl,
        )
        configuration = folder / "keto.yml"
        render(CHECKOUT / "keto" / "keto.yml", values, configuration)
        environ = bare(os.environ)
        programs.run_once(
            ory.keto_migration(binary, configuration, environ), startup, failure="no migration"
        )
        log = stack.enter_context((folder / "keto.log").open("wb"))
        program = ory.keto(binary, configuration, environ)
        process = programs.spawn(program, output=log.fileno())
        guard.watch(programs.record_of(program, process.pid))
        stack.callback(process.wait, 30)
        stack.callback(process.send_signal, signal.SIGTERM)
        while not ory.keto_is_ready(f"http://127.0.0.1:{read}"):
            assert process.poll() is None, (folder / "keto.log").read_text()
            startup.stop.pause(0.05)
        clients = [
            stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
            )
            for port in (read, write)
        ]
        yield KetoServer(*clients)


def _dsn(database_url: str) -> str:
    """Return the address as Keto reads it, with the pool it has in the embedded stack."""
    rest = database_url.partition("://")[2]
    joint = "&" if "?" in rest else "?"
    return f"postgres://{rest}{joint}sslmode=disable&max_conns=16"
