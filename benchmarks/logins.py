"""Logins through the edge against the same Kratos asked directly.

Kratos is one and the same, with the same hooks, in a stack of its own. First as many as go. Then
what the edge adds at half of that, with starts at fixed times, both ways in turns. At bcrypt 12,
as it is run, and at bcrypt 4: a hash of 300 ms varies by more than what is looked for, and there
are too few of them for a p99; the edge does the same.

    python -m benchmarks.logins [--seconds 60] [--costs 12 4]
"""

import argparse
import itertools
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import httpx
import uvloop

from benchmarks.stage import closed_loop, cpu_seconds, open_loop_in_turns, percentile
from tests.private_stack import PrivateStack

CONNECTIONS = 4
MEMBERS = 100
ROUNDS = 3
WARM_UP = 5.0
HARDEST_IN_PARTS = 10
"""Cost of bcrypt from which on the hash hides the parts."""
Ways: TypeAlias = dict[str, Callable[[Any], Awaitable[None]]]


def make_member(stack: PrivateStack) -> dict[str, str]:
    """Return the credentials of an active member."""
    name = secrets.token_hex(4)
    email, password = f"{name}@example.test", f"Correct-Horse-{secrets.randbelow(10**8):08}"
    answer = httpx.post(
        f"{stack.edge_url}/admin/identities",
        headers={"Authorization": f"Bearer {stack.facts['admin_api_key']}"},
        json={
            "schema_id": "member",
            "traits": {"email": email, "username": f"ada-{name}"},
            "credentials": {"password": {"config": {"password": password}}},
            "verifiable_addresses": [
                {"value": email, "verified": True, "via": "email", "status": "completed"}
            ],
        },
        timeout=30,
    )
    answer.raise_for_status()
    return {"method": "password", "identifier": email, "password": password}


class Logins:
    """Native logins at one address.

    Members take turns, and each comes from somewhere else: a member who logs in all the time has
    sessions ended, and an address with five attempts under way has to wait.
    """

    def __init__(self, base: str, credentials: list[dict[str, str]]) -> None:
        self._base = base
        self._credentials = itertools.cycle(credentials)
        self._flows: list[str] = []

    async def whole(self, session: aiohttp.ClientSession) -> None:
        """Start a flow, and submit it."""
        await self._submit(session, await self._started(session))

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Start a flow, and keep it: Kratos' cheapest write, where the edge shows most."""
        self._flows.append(await self._started(session))

    async def submit(self, session: aiohttp.ClientSession) -> None:
        """Submit a flow that was kept, as a person does who has typed meanwhile."""
        await self._submit(session, self._flows.pop())

    async def _started(self, session: aiohttp.ClientSession) -> str:
        url = f"{self._base}/self-service/login/api"
        async with session.get(url, headers=from_somewhere()) as answer:
            return str((await answer.json())["id"])

    async def _submit(self, session: aiohttp.ClientSession, flow: str) -> None:
        url, member = f"{self._base}/self-service/login?flow={flow}", next(self._credentials)
        async with session.post(url, json=member, headers=from_somewhere()) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}: {(await answer.text())[:200]}")


def from_somewhere() -> dict[str, str]:
    """Return what a proxy says of a client; the edge of this benchmark believes it."""
    return {"X-Forwarded-For": str(IPv4Address(0x0A000000 + secrets.randbelow(1 << 24)))}


def throughput(ways: Ways, seconds: float) -> float:
    """Print how many go, and return how many directly."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, ask in ways.items():
            done = closed_loop(ask, seconds=seconds / 2, connections=CONNECTIONS)
            rates[name].append(uvloop.run(done))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratios = [e / d for e, d in zip(rates["edge"], rates["direct"], strict=True)]
    print(f"logins: {middle['edge']:.2f}/s through the edge, {middle['direct']:.2f}/s directly")
    print(f"logins through the edge / directly = {statistics.median(ratios):.2f}", end=" ")
    print(f"(rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    return middle["direct"]


def added(what: str, ways: Ways, rate: float, seconds: float) -> int:
    """Print what the edge adds: the median of the differences of each turn, and of both p99.

    Returns:
        How many turns there were.
    """
    # Connections, prepared statements and caches are there before anything counts.
    uvloop.run(open_loop_in_turns(ways, rate=rate, seconds=WARM_UP))
    waits = uvloop.run(open_loop_in_turns(ways, rate=rate, seconds=seconds))
    pairs = list(zip(waits["edge"], waits["direct"], strict=True))
    p50 = statistics.median(edge - direct for edge, direct in pairs)
    p99 = {name: percentile(values, 99) for name, values in waits.items()}
    print(f"added to {what} at {rate:.1f}/s: p50 {p50:+.1f} ms of", end=" ")
    print(f"{statistics.median(waits['direct']):.1f};", end=" ")
    print(f"p99 {p99['edge'] - p99['direct']:+.1f} ms of {p99['direct']:.1f} ({len(pairs)} pairs)")
    return len(pairs)


def measure(cost: int, seconds: float, *, in_parts: bool) -> None:
    """Print how many logins go at a cost of bcrypt, and what the edge adds at half of that.

    Args:
        in_parts: Also to the start of a flow and to its submit, each by itself.
    """
    print(f"bcrypt {cost}; load average {os.getloadavg()[0]:.1f}")
    with running(cost) as (logins, edge):
        wholes: Ways = {name: each.whole for name, each in logins.items()}
        half = throughput(wholes, seconds / 4) / 2
        parts: dict[str, Ways] = {"a login": wholes}
        if in_parts:
            parts["the start of its flow"] = {name: each.start for name, each in logins.items()}
            parts["its submit"] = {name: each.submit for name, each in logins.items()}
        for what, ways in parts.items():
            before, own = cpu_seconds(edge), time.process_time()
            turns = added(what, ways, half, seconds) + int(half * WARM_UP / len(ways))
            spent, client = cpu_seconds(edge) - before, time.process_time() - own
            print(f"computed by the edge for {what}: {spent / turns * 1000:.1f} ms;", end=" ")
            print(f"by the client for two: {client / turns * 1000:.1f} ms")
    print(f"load average {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--costs", type=int, nargs="+", default=[12, 4], help="of bcrypt")
    given = parser.parse_args()
    for cost in given.costs:
        measure(cost, given.seconds, in_parts=cost < HARDEST_IN_PARTS)


@contextmanager
def running(cost: int) -> Iterator[tuple[dict[str, Logins], int]]:
    """Run a stack; return logins straight at Kratos and by the edge, and the edge's process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"KLEIS_BCRYPT_COST": str(cost), "KLEIS_TRUSTED_PROXIES": "127.0.0.0/8"}
        stack = PrivateStack(Path(folder), settings, is_measured=True)
        try:
            stack.start()
            direct = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KRATOS_PUBLIC']}"
            with ThreadPoolExecutor(2) as pool:
                making = pool.map(lambda _: make_member(stack), range(MEMBERS))
                credentials = list(making)
            bases = {"direct": direct, "edge": stack.edge_url}
            logins = {name: Logins(base, credentials) for name, base in bases.items()}
            yield logins, stack.pids()["edge"]
        finally:
            stack.close()


if __name__ == "__main__":
    main()
