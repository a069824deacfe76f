"""A session check (`whoami`) through the edge, through nginx and through FastAPI with httpx.

All three stand before the same stub of Kratos, each alone on one core; the edge answers from
memory, kept true by a real PostgreSQL. Then the edge's memory after many requests.

    python -m benchmarks.session_check [--seconds 3] [--requests 200000]
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.stage import (
    LOAD_CORE,
    PROXY_CORE,
    free_port,
    raw_rate,
    resident_megabytes,
    run_on,
    serve,
    serving,
    wait_for,
)
from integration.settings import Settings

CONNECTIONS = 32
MEMBER = uuid.UUID("7f8f5a1e-6c0e-4f5a-9f43-0b7c55a1d0aa")
_BODY = json.dumps(
    {
        "id": str(uuid.UUID(int=MEMBER.int + 1)),
        "active": True,
        "expires_at": (datetime.now(UTC) + timedelta(days=7)).isoformat(),
        "authenticated_at": datetime.now(UTC).isoformat(),
        "authenticator_assurance_level": "aal1",
        "authentication_methods": [{"method": "password", "aal": "aal1"}],
        "identity": {"id": str(MEMBER), "pad": "x" * 900},
    }
).encode()
_HEADERS = [
    (b"content-type", b"application/json; charset=utf-8"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"x-kratos-authenticated-identity-id", str(MEMBER).encode()),
]
_QUESTION = b"GET /sessions/whoami HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Session-Token: ory_st_x\r\n\r\n"


async def stub(scope: Any, receive: Any, send: Any) -> None:
    """Answer as whoami does, with about a kilobyte."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


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


@contextmanager
def nginx(upstream: int, port: int) -> Iterator[None]:
    """Run one nginx worker that keeps its connections open."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = Path(folder) / "nginx.conf"
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n"
            f" fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
            f" upstream stub {{ server 127.0.0.1:{upstream}; keepalive 128; }}\n"
            f" server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://stub;\n"
            '  proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
        )
        command = ["nginx", "-c", str(config), "-p", folder]
        process = subprocess.Popen(command, preexec_fn=partial(run_on, PROXY_CORE))  # noqa: PLW1509
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_for(port)
        yield


async def rate(port: int, seconds: float) -> float:
    return await raw_rate(port, _QUESTION, seconds=seconds, connections=CONNECTIONS)


def compare(ports: dict[str, int], seconds: float) -> None:
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for port in ports.values():
        asyncio.run(rate(port, 1.0))
    for _ in range(3):
        for name, port in ports.items():
            rates[name].append(asyncio.run(rate(port, seconds)))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in middle.items():
        print(f"{name:>16}: {value:7.0f}/s; edge / {name} = {middle['edge'] / value:.2f}")


def memory(port: int, pid: int, requests: int) -> None:
    """Print what the edge holds after a tenth of the requests, and after all."""
    asyncio.run(_many(port, requests // 10))
    first = resident_megabytes(pid)
    asyncio.run(_many(port, requests - requests // 10))
    last = resident_megabytes(pid)
    growth = (last / first - 1) * 100
    print(f"memory of the edge: {first:.1f} MB after {requests // 10} requests, ", end="")
    print(f"{last:.1f} MB after {requests} ({growth:+.1f} %)")


async def _many(port: int, requests: int) -> None:
    left = requests
    while left > 0:
        seconds = 5.0
        left -= int(await rate(port, seconds) * seconds)


def database_with_a_member(stack: ExitStack) -> str:
    """Start a PostgreSQL and return the URL of a database with one active member."""
    # Not at the top: the servers import this module too, and their memory is measured.
    from integration.db.migrations.upgrade import upgrade  # noqa: PLC0415
    from tests.conftest import _embedded  # noqa: PLC0415

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    databases = _embedded(stack, folder)
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
    with ExitStack() as stack:
        database_url = database_with_a_member(stack)
        run_on(LOAD_CORE)
        upstream = free_port()
        stack.enter_context(serving(serve_stub, upstream))
        ports = {"edge": free_port(), "fastapi + httpx": free_port()}
        edge = stack.enter_context(serving(serve_edge, upstream, database_url, ports["edge"]))
        stack.enter_context(serving(serve_fastapi, upstream, ports["fastapi + httpx"]))
        if shutil.which("nginx"):
            ports["nginx"] = free_port()
            stack.enter_context(nginx(upstream, ports["nginx"]))
        else:
            print("nginx is not installed: not compared")
        compare(ports, given.seconds)
        memory(ports["edge"], edge.pid or 0, given.requests)


if __name__ == "__main__":
    main()
