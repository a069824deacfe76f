"""What the edge costs: the same tiny upstream asked directly and through the edge, in one run.

Figures of one machine mean nothing on another, so what counts is the ratio of the two, taken
alternately in several rounds. Run: `python -m benchmarks.edge_forwarding [--seconds 2]`.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time

import aiohttp
import uvicorn

from integration.edge.assembly import make_edge
from integration.settings import Settings

CONNECTIONS = 32


async def upstream(scope, receive, send):
    """Answer what whoami might: about 300 bytes of JSON."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"300")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 300})


def serve(app, port: int, lifespan: str) -> None:
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        proxy_headers=False,
        server_header=False,
    )


def serve_upstream(port: int) -> None:
    serve(upstream, port, "off")


def serve_edge(port: int, upstream_port: int) -> None:
    import logging  # noqa: PLC0415 - only in this process

    import structlog  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    here = f"http://127.0.0.1:{upstream_port}/"
    settings = Settings(
        database_url="postgresql://kleis@127.0.0.1:1/kleis",
        valkey_url="redis://127.0.0.1:1/0",
        hook_secret="only for this benchmark",
        secret="only for this benchmark",
        kratos_public_url=here,
        service_url=here,
    )
    serve(make_edge(settings), port, "on")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def measure(port: int, seconds: float, connections: int) -> tuple[float, float]:
    """Return requests a second and the median wait in milliseconds."""
    waits: list[float] = []
    url = f"http://127.0.0.1:{port}/self-service/login/flows?id=x"
    end = time.perf_counter() + seconds

    async def ask(session: aiohttp.ClientSession) -> None:
        while (started := time.perf_counter()) < end:
            async with session.get(url) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}")
            waits.append(time.perf_counter() - started)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(ask(session) for _ in range(connections)))
    return len(waits) / seconds, statistics.median(waits) * 1000


async def rounds(direct: int, through: int, seconds: float) -> None:
    await wait_for(direct)
    await wait_for(through)
    await measure(through, 0.5, CONNECTIONS)
    for connections in (1, CONNECTIONS):
        pairs = []
        for _ in range(3):
            plain = await measure(direct, seconds, connections)
            edged = await measure(through, seconds, connections)
            pairs.append((edged[0] / plain[0], edged[1] - plain[1], plain[0], edged[0]))
        ratio, added, plain_rate, edge_rate = (
            statistics.median(values) for values in zip(*pairs, strict=True)
        )
        print(
            f"{connections:>2} connections: through the edge / direct = {ratio:.2f}"
            f"  (+{added:.2f} ms median; {edge_rate:.0f}/s against {plain_rate:.0f}/s)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    direct, through = free_port(), free_port()
    servers = [
        multiprocessing.Process(target=serve_upstream, args=(direct,)),
        multiprocessing.Process(target=serve_edge, args=(through, direct)),
    ]
    for server in servers:
        server.start()
    try:
        asyncio.run(rounds(direct, through, seconds))
    finally:
        for server in servers:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
