"""A session check (`whoami`) through the edge, through nginx and through FastAPI with httpx.

All stand before the same stub of Kratos, each alone on one core; load and stub have the other. The
edge also asks a real PostgreSQL for the member's status, as it always does. Beside it a request
that the edge only passes on. Then the edge's memory after many requests.

    python -m benchmarks.session_check [--seconds 3] [--requests 200000]

Where nginx and wrk are installed, the stub is nginx and the load is wrk's: a stub or a load in
Python is slower than what is measured, and flatters it.
"""

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from benchmarks import nginx
from benchmarks.stage import (
    LOAD_CORE,
    PROXY_CORE,
    closed_loop,
    cpu_seconds,
    free_port,
    resident_megabytes,
    run_on,
    serve,
    serving,
)
from integration.settings import Settings

CONNECTIONS = 32
ROUNDS = 3
MEMBER = uuid.UUID("7f8f5a1e-6c0e-4f5a-9f43-0b7c55a1d0aa")
SESSION = uuid.UUID("1f0c9a0e-2b7e-4a53-8a58-5d6b1f2c3d4e")
CHECK = "/sessions/whoami"
# Nothing looks into its answer.
PASSED_ON = "/schemas/member"
_BODY = (
    f'{{"id":"{SESSION}","active":true,"expires_at":"2036-11-25T12:00:00Z",'
    '"authenticated_at":"2026-11-25T12:00:00Z","authenticator_assurance_level":"aal1",'
    f'"identity":{{"id":"{MEMBER}","state":"active"}},"pad":"{"x" * 750}"}}'
)
_FIELDS = {"x-kratos-authenticated-identity-id": str(MEMBER)}


async def stub(scope: Any, receive: Any, send: Any) -> None:
    """Answer as whoami does, with about a kilobyte."""
    body = _BODY.encode()
    fields = {**_FIELDS, "content-type": "application/json", "content-length": str(len(body))}
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve_stub(port: int) -> None:
    serve(stub, port, core=LOAD_CORE, lifespan="off")


def serve_edge(upstream: int, database_url: str, port: int) -> None:
    from integration.edge.assembly import make_edge  # noqa: PLC0415 - only in its own process
    from integration.edge.protocol import EdgeProtocol  # noqa: PLC0415

    here = f"http://127.0.0.1:{upstream}/"
    settings = Settings(
        database_url=database_url,
        valkey_url="redis://127.0.0.1:1/0",
        hook_secret="only for this benchmark",
        secret="only for this benchmark",
        kratos_public_url=here,
        service_url=here,
    )
    serve(make_edge(settings), port, core=PROXY_CORE, http=EdgeProtocol, ws="none")


def serve_fastapi(upstream: int, port: int) -> None:
    """Serve the proxy most people would write first; it does nothing but pass on."""
    import httpx  # noqa: PLC0415 - only in its own process
    from fastapi import FastAPI, Request, Response  # noqa: PLC0415

    app = FastAPI()
    limits = httpx.Limits(max_connections=128, max_keepalive_connections=128)
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{upstream}", limits=limits)

    @app.get("/{path:path}")
    async def pass_on(request: Request, path: str) -> Response:
        fields = [(name, value) for name, value in request.headers.raw if name != b"host"]
        answer = await client.get(f"/{path}", headers=fields)
        return Response(answer.content, answer.status_code, dict(answer.headers))

    serve(app, port, core=PROXY_CORE)


def rate(port: int, path: str, seconds: float) -> float:
    """Return requests a second that were answered with 200."""
    if shutil.which("wrk"):
        return _by_wrk(port, path, seconds)
    return asyncio.run(_by_ourselves(port, path, seconds))


def _by_wrk(port: int, path: str, seconds: float) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command += ["-H", "X-Session-Token: ory_st_x", f"http://127.0.0.1:{port}{path}"]
    ended = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=partial(run_on, LOAD_CORE),
    )
    if "Non-2xx" in ended.stdout or "Socket errors" in ended.stdout:
        raise RuntimeError(ended.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", ended.stdout)
    assert found is not None
    return float(found[1])


async def _by_ourselves(port: int, path: str, seconds: float) -> float:
    url = f"http://127.0.0.1:{port}{path}"

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get(url, headers={"X-Session-Token": "ory_st_x"}) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")

    return await closed_loop(ask, seconds=seconds, connections=CONNECTIONS)


@dataclass
class Rival:
    """One proxy: its port, the number of its process, and what was measured.

    Attributes:
        costs: Microseconds that it computed for a request. On a machine that also does other
            things, of more worth than the rates.
    """

    port: int
    pid: int
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def measure(self, path: str, seconds: float) -> None:
        before = cpu_seconds(self.pid)
        found = rate(self.port, path, seconds)
        self.rates.append(found)
        self.costs.append((cpu_seconds(self.pid) - before) / (found * seconds) * 1e6)


def compare(rivals: dict[str, Rival], path: str, seconds: float) -> None:
    """Print what was measured in turns, and the edge's as a ratio of each."""
    for rival in rivals.values():
        rate(rival.port, path, 1.0)
        rival.rates.clear()
        rival.costs.clear()
    for _ in range(ROUNDS):
        for rival in rivals.values():
            rival.measure(path, seconds)
    edge = rivals["edge"]
    print(f"{path}, {CONNECTIONS} connections, median of {ROUNDS} rounds")
    for name, rival in rivals.items():
        faster = statistics.median(a / b for a, b in zip(edge.rates, rival.rates, strict=True))
        cheaper = statistics.median(b / a for a, b in zip(edge.costs, rival.costs, strict=True))
        said = f"{statistics.median(rival.rates):7.0f}/s, {statistics.median(rival.costs):6.0f} us"
        print(f"{name:>16}: {said}; edge / {name} = {faster:.2f}, by what it costs {cheaper:.2f}")


def memory(port: int, pid: int, requests: int) -> None:
    """Print what the edge holds after a tenth of the requests, and after all."""
    done = _many(port, requests // 10)
    first = resident_megabytes(pid)
    print(f"memory of the edge: {first:.1f} MB after {done} requests", flush=True)
    done += _many(port, requests - done)
    last = resident_megabytes(pid)
    growth = (last / first - 1) * 100
    print(f"memory of the edge: {last:.1f} MB after {done} requests ({growth:+.1f} %)")


def _many(port: int, requests: int) -> int:
    """Ask so many times or a little more, both paths in turns, and return how often."""
    done, which, seconds = 0, 0, 2.0
    while done < requests:
        done += int(rate(port, (CHECK, PASSED_ON)[which % 2], seconds) * seconds)
        which += 1
    return done


def database_with_a_member(stack: ExitStack) -> str:
    """Start a PostgreSQL and return the URL of a database with one active member."""
    # Not at the top: the servers import this module too, and their memory is measured.
    from integration.db.migrations.upgrade import upgrade  # noqa: PLC0415
    from tests.conftest import _embedded  # noqa: PLC0415

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    databases = _embedded(stack, folder, is_measured=True)
    url = databases.new_database()
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into members (identity_id, status, role, status_changed_at, registered_at)"
            " values (%s, 'active', 'user', now(), now())",
            (MEMBER,),
        )
    return url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=200_000, help="for the memory")
    given = parser.parse_args()
    has_nginx = bool(shutil.which("nginx"))
    with ExitStack() as stack:
        database_url = database_with_a_member(stack)
        run_on(LOAD_CORE)
        upstream = free_port()
        if has_nginx:
            stack.enter_context(nginx.stub(_BODY, _FIELDS, upstream, core=LOAD_CORE))
        else:
            print("nginx is not installed: not compared, and the stub is slow")
            stack.enter_context(serving(serve_stub, upstream))
        ports = [free_port() for _ in range(3)]
        edge = stack.enter_context(serving(serve_edge, upstream, database_url, ports[0]))
        other = stack.enter_context(serving(serve_fastapi, upstream, ports[1]))
        rivals = {
            "edge": Rival(ports[0], edge.pid or 0),
            "fastapi + httpx": Rival(ports[1], other.pid or 0),
        }
        if has_nginx:
            worker = stack.enter_context(nginx.proxy(upstream, ports[2], core=PROXY_CORE))
            rivals["nginx"] = Rival(ports[2], worker)
        for path in (CHECK, PASSED_ON):
            compare(rivals, path, given.seconds)
        memory(ports[0], edge.pid or 0, given.requests)


if __name__ == "__main__":
    main()
