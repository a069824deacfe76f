"""What the benchmarks share: servers in processes of their own, and load.

Figures of one machine mean nothing on another: each benchmark runs what it compares in turns, in
one run, and prints ratios. Proxies run on the first core, everything else on the second.
"""

import asyncio
import logging
import multiprocessing
import os
import random
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvicorn

PROXY_CORE, LOAD_CORE = 0, 1


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_on(core: int) -> None:
    """Keep this process on one core, where there are several."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def serve(app: Any, port: int, *, core: int | None, **more: Any) -> None:
    """Serve an ASGI application, quietly, until the process is ended; None: on all cores."""
    if core is not None:
        run_on(core)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    plain = {"log_config": None, "access_log": False, "server_header": False}
    uvicorn.run(app, host="127.0.0.1", port=port, proxy_headers=False, **(plain | more))


@contextmanager
def serving(target: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """Run a server (its last argument is its port) in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    with ExitStack() as stack:
        stack.callback(process.join)
        stack.callback(process.terminate)
        wait_for(arguments[-1])
        yield process


def wait_for(port: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens on port {port}")
        time.sleep(0.05)


async def closed_loop(
    ask: Callable[[aiohttp.ClientSession], Awaitable[None]], *, seconds: float, connections: int
) -> float:
    """Return how often a second `ask` was done, by so many clients without a pause."""
    done = 0
    end = time.perf_counter() + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await ask(session)
            done += 1

    connector = aiohttp.TCPConnector(limit=connections)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        started = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(connections)))
        return done / (time.perf_counter() - started)


async def open_loop_in_turns(
    ways: dict[str, Callable[[aiohttp.ClientSession], Awaitable[None]]],
    *,
    rate: float,
    seconds: float,
) -> dict[str, list[float]]:
    """Return the waits, in milliseconds, of requests that start at fixed times, come what may.

    The ways take turns, in an order drawn anew each time: what else the machine does meets all of
    them alike. The nth wait of each is of the same turn.
    """
    turns = int(rate * seconds / len(ways))
    waits = {name: [0.0] * turns for name in ways}

    async def one(session: aiohttp.ClientSession, name: str, turn: int, start: float) -> None:
        await asyncio.sleep(max(0.0, start - time.perf_counter()))
        await ways[name](session)
        # From when it should have started: a stall counts for all whom it keeps waiting.
        waits[name][turn] = (time.perf_counter() - start) * 1000

    connector = aiohttp.TCPConnector(limit=512)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        begin, asked = time.perf_counter() + 0.1, []
        for turn in range(turns):
            for place, name in enumerate(random.sample(list(ways), len(ways))):
                start = begin + (turn * len(ways) + place) / rate
                asked.append(one(session, name, turn, start))
        await asyncio.gather(*asked)
    return waits


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def cpu_seconds(pid: int) -> float:
    """Return what a process has computed so far. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Return what a process holds in memory. Linux only."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class RawClient(asyncio.Protocol):
    """One kept connection that asks the same thing again and again, as fast as it is answered.

    It costs a tenth of an HTTP client, so that it is not what is measured. All answers must be of
    the same length.
    """

    def __init__(self, question: bytes) -> None:
        self._question = question
        self._size = 0
        self._got = bytearray()
        self.done = 0
        self.fault = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._size:
            head, end, _ = self._got.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.fault = head.decode("latin-1")
                self._transport.close()
                return
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            self._size = len(head) + len(end) + length
        if len(self._got) >= self._size:
            del self._got[: self._size]
            self.done += 1
            self._transport.write(self._question)

    def close(self) -> None:
        self._transport.close()


async def raw_rate(port: int, question: bytes, *, seconds: float, connections: int) -> float:
    """Return how often a second a whole GET was answered with 200."""
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: RawClient(question), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(min(0.5, seconds / 4))
    before, started = sum(client.done for client in made), time.perf_counter()
    await asyncio.sleep(seconds)
    done, took = sum(client.done for client in made) - before, time.perf_counter() - started
    for client in made:
        client.close()
    if faults := {client.fault for client in made if client.fault}:
        raise RuntimeError(faults.pop())
    return done / took
