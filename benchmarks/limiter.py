"""What one decision of the limiter costs, and what a million addresses take in Valkey.

Figures of one machine mean nothing on another: what counts is how a decision beside Valkey
compares with a bare PING on the same connection in the same run, and a local one with a look into a
dict. Run: `python -m benchmarks.limiter [--decisions 20000] [--addresses 1000000]`.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import redis
import uvloop

from integration.edge.limits.connection import connect
from integration.edge.limits.limiter import Ask, Limiter, Reserved
from integration.edge.limits.local import LocalLimiter
from integration.edge.limits.valkey import ValkeyLimiter
from integration.launch.valkey import is_ready, program, socket_in
from integration.limits import counters, rules
from integration.limits.rules import rules_of
from integration.settings.limits import LimitSettings
from policies.limits import Verdict

LEASE = 40_000
BATCH = 500
ROUNDS = 5
PATIENT = 10.0
RULES = rules_of(LimitSettings())


@contextmanager
def valkey() -> Iterator[str]:
    """Run a Valkey of our own, as the embedded stack does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = program(folder, folder / "data")
        argv = [*started.argv, "--appendonly", "no", "--loglevel", "warning"]
        process = subprocess.Popen(argv, env=dict(started.environ))
        try:
            while not is_ready(folder):
                time.sleep(0.02)
            yield f"unix://{socket_in(folder)}"
        finally:
            process.terminate()
            process.wait()


def ask_of(address: str, account: bytes) -> Ask:
    """What a login with a password asks: four counters, and whether there is a pass."""
    return Ask(
        (
            counters.of_address(rules.ADDRESS, address),
            counters.of_network(address),
            counters.of_pair(address, account),
            counters.of_account(rules.ACCOUNT, account),
        ),
        counters.of_pass(address, account),
        (counters.of_device(counters.parse(address).packed, account),),
    )


def an_address() -> str:
    return str(IPv4Address(random.getrandbits(32)))


def figures(durations: list[float]) -> dict[str, float]:
    durations.sort()
    at = {"p50": 0.5, "p99": 0.99}
    return {name: round(durations[int(len(durations) * q)] * 1e6, 1) for name, q in at.items()}


async def timed(work: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    durations = []
    for _ in range(count):
        started = time.perf_counter()
        await work()
        durations.append(time.perf_counter() - started)
    return durations


async def decisions(limiter: Limiter, count: int) -> list[float]:
    """Time reserving; every attempt is settled as a failure, untimed."""
    durations = []
    for _ in range(count):
        ask, mark = ask_of(an_address(), secrets.token_bytes(8)), secrets.token_bytes(6)
        started = time.perf_counter()
        answer = await limiter.reserve(ask)
        durations.append(time.perf_counter() - started)
        if isinstance(answer, Reserved):
            await limiter.settle(answer, Verdict.COUNTS, mark=mark)
    return durations


async def latency(url: str, count: int) -> dict[str, Any]:
    remote = ValkeyLimiter(url, RULES, lease=LEASE, alarm_accounts=10**6, patience=PATIENT)
    await remote.check()
    connection = await connect(url, PATIENT)
    local = LocalLimiter(RULES, lease=LEASE, alarm_accounts=10**6)
    pings: list[float] = []
    beside: list[float] = []
    own: list[float] = []
    for _ in range(ROUNDS):
        pings += await timed(lambda: connection.ask(["PING"]), count // ROUNDS)
        beside += await decisions(remote, count // ROUNDS)
        own += await decisions(local, count // ROUNDS)
    connection.close()
    await remote.close()
    found = {"ping_us": figures(pings), "valkey_us": figures(beside), "local_us": figures(own)}
    found["valkey_per_ping"] = {
        name: round(found["valkey_us"][name] / found["ping_us"][name], 2) for name in ("p50", "p99")
    }
    return found


async def million(url: str, addresses: int) -> dict[str, Any]:
    """Let so many addresses, each in a network of its own as far as there are, fail once."""
    client: Any = redis.Redis.from_url(url)
    client.flushdb()
    before = client.info("memory")["used_memory"]
    limiter = ValkeyLimiter(url, RULES, lease=LEASE, alarm_accounts=10**6, patience=PATIENT)
    await limiter.check()
    accounts = [os.urandom(8) for _ in range(1000)]

    async def fail(number: int) -> None:
        # Spread over all networks there are: no two neighbours share one.
        address = str(IPv4Address((number * 256 + 7) & 0xFFFFFFFF))
        ask = ask_of(address, accounts[number % 1000])
        reserved = Reserved(ask.keys, 0)
        await limiter.settle(reserved, Verdict.COUNTS, mark=os.urandom(6))

    for start in range(0, addresses, BATCH):
        await asyncio.gather(*(fail(number) for number in range(start, start + BATCH)))
    used = client.info("memory")["used_memory"] - before
    keys = client.dbsize()
    await limiter.close()
    client.close()
    return {
        "addresses": addresses,
        "counters": keys,
        "megabytes": round(used / 1e6, 1),
        "bytes_per_address": round(used / addresses, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--addresses", type=int, default=1_000_000)
    given = parser.parse_args()
    with valkey() as url:
        found = uvloop.run(latency(url, given.decisions))
        found["memory"] = uvloop.run(million(url, given.addresses))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
