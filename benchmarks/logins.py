"""Logins through the edge against the same Kratos asked directly, at bcrypt 12.

Kratos is one and the same, with the same hooks, in a stack of its own. First as many as go, then
what the edge adds at half of that, with starts at fixed times.

    python -m benchmarks.logins [--seconds 20] [--cost 12]
"""

import argparse
import asyncio
import secrets
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from benchmarks.stage import closed_loop, open_loop, percentile
from tests.private_stack import PrivateStack

CONNECTIONS = 4


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


def measure(direct: str, edge: str, credentials: list[dict[str, str]], seconds: float) -> None:
    ways = {"direct": login(direct, credentials), "edge": login(edge, credentials)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, ask in ways.items():
            done = closed_loop(ask, seconds=seconds / 2, connections=CONNECTIONS)
            rates[name].append(asyncio.run(done))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = statistics.median(e / d for e, d in zip(rates["edge"], rates["direct"], strict=True))
    print(f"logins: {middle['edge']:.2f}/s through the edge, {middle['direct']:.2f}/s directly")
    print(f"logins through the edge / directly = {ratio:.2f}")
    half = middle["direct"] / 2
    added("a login", ways, half, seconds)
    added("a flow", {"direct": fetch(direct), "edge": fetch(edge)}, 50, seconds)


def added(
    what: str, ways: dict[str, Callable[[Any], Awaitable[None]]], rate: float, seconds: float
) -> None:
    waits = {
        name: asyncio.run(open_loop(ask, rate=rate, seconds=seconds)) for name, ask in ways.items()
    }
    found = {
        name: (statistics.median(values), percentile(values, 99)) for name, values in waits.items()
    }
    p50, p99 = (e - d for e, d in zip(found["edge"], found["direct"], strict=True))
    print(f"added to {what} at {rate:.1f}/s: p50 {p50:+.1f} ms, p99 {p99:+.1f} ms", end="")
    print(f" (directly {found['direct'][0]:.1f} and {found['direct'][1]:.1f} ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--cost", type=int, default=12, help="of bcrypt")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder), {"KLEIS_BCRYPT_COST": str(given.cost)})
        try:
            stack.start()
            direct = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KRATOS_PUBLIC']}"
            credentials = [make_member(stack) for _ in range(10)]
            measure(direct, stack.edge_url, credentials, given.seconds)
        finally:
            stack.close()


if __name__ == "__main__":
    main()
