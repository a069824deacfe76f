"""Logins through the edge against the same Kratos asked directly.

Kratos is one and the same, with the same hooks, in a stack of its own. First as many as go, at
bcrypt 12. Then what the edge adds at half load, with starts at fixed times, both ways in turns: at
bcrypt 4, for a hash of 300 ms varies by more than what is looked for; the edge does the same.

    python -m benchmarks.logins [--seconds 20] [--cost 12] [--cost-of-added 4]
"""

import argparse
import asyncio
import secrets
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import httpx

from benchmarks.stage import closed_loop, cpu_seconds, open_loop_in_turns, percentile
from tests.private_stack import PrivateStack

CONNECTIONS = 4
Ways: TypeAlias = dict[str, Callable[[Any], Awaitable[None]]]


def make_member(stack: PrivateStack) -> dict[str, str]:
    """Return the credentials of an active member."""
    name = secrets.token_hex(4)
    email, password = f"{name}@example.test", f"Correct-Horse-{name[::-1]}"
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


def login(base: str, credentials: list[dict[str, str]]) -> Callable[[Any], Awaitable[None]]:
    """Return a whole native login: the flow, then its submit."""

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{base}/self-service/login/api") as started:
            flow = (await started.json())["id"]
        url = f"{base}/self-service/login?flow={flow}"
        async with session.post(url, json=secrets.choice(credentials)) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}: {(await answer.text())[:200]}")

    return ask


def fetch(base: str) -> Callable[[Any], Awaitable[None]]:
    """Return the start of a login flow: Kratos' cheapest write, where the edge shows most."""

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{base}/self-service/login/api") as answer:
            await answer.read()

    return ask


def throughput(ways: Ways, seconds: float) -> float:
    """Print how many go, and return how many directly."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, ask in ways.items():
            done = closed_loop(ask, seconds=seconds / 2, connections=CONNECTIONS)
            rates[name].append(asyncio.run(done))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = statistics.median(e / d for e, d in zip(rates["edge"], rates["direct"], strict=True))
    print(f"logins: {middle['edge']:.2f}/s through the edge, {middle['direct']:.2f}/s directly")
    print(f"logins through the edge / directly = {ratio:.2f}")
    return middle["direct"]


def added(what: str, ways: Ways, rate: float, seconds: float) -> int:
    """Print what the edge adds: the median of the differences of each turn, and of both p99.

    Returns:
        How many turns there were.
    """
    waits = asyncio.run(open_loop_in_turns(ways, rate=rate, seconds=seconds))
    pairs = list(zip(waits["edge"], waits["direct"], strict=True))
    p50 = statistics.median(edge - direct for edge, direct in pairs)
    p99 = {name: percentile(values, 99) for name, values in waits.items()}
    print(f"added to {what} at {rate:.1f}/s: p50 {p50:+.1f} ms of", end=" ")
    print(f"{statistics.median(waits['direct']):.1f};", end=" ")
    print(f"p99 {p99['edge'] - p99['direct']:+.1f} ms of {p99['direct']:.1f} ({len(pairs)} pairs)")
    return len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--cost", type=int, default=12, help="of bcrypt, for how many go")
    parser.add_argument("--cost-of-added", type=int, default=4, help="of bcrypt, for what is added")
    given = parser.parse_args()
    with running(given.cost) as (ways, _, _):
        throughput(ways, given.seconds)
    with running(given.cost_of_added) as (ways, starts, edge):
        half = throughput(ways, given.seconds / 4) / 2
        for what, each in {"a login": ways, "the start of a flow": starts}.items():
            before = cpu_seconds(edge)
            turns = added(what, each, half, given.seconds)
            spent = (cpu_seconds(edge) - before) / turns
            print(f"computed by the edge for {what}: {spent * 1000:.1f} ms")


@contextmanager
def running(cost: int) -> Iterator[tuple[Ways, Ways, int]]:
    """Run a stack; return logins and starts of flows, each straight at Kratos and by the edge.

    The last is the number of the edge's process.
    """
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder), {"KLEIS_BCRYPT_COST": str(cost)})
        try:
            stack.start()
            direct = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KRATOS_PUBLIC']}"
            credentials = [make_member(stack) for _ in range(10)]
            bases = {"direct": direct, "edge": stack.edge_url}
            yield (
                {name: login(base, credentials) for name, base in bases.items()},
                {name: fetch(base) for name, base in bases.items()},
                stack.pids()["edge"],
            )
        finally:
            stack.close()


if __name__ == "__main__":
    main()
