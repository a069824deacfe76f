"""What one decision of the limiter costs, and what a million addresses take in Valkey.

Figures of one machine mean nothing on another: what counts is how a decision beside Valkey
compares with a bare PING on the same connection in the same run, in turns. Most of a PING's wait is
that one process has to wake the other, and that is not the same on one core as across two: each
placement is measured by itself, in rounds, for a tail of few samples is one of chance. As in the
edge, the garbage collector leaves alone what was there at the start.

    python -m benchmarks.limiter [--decisions 20000] [--rounds 10] [--addresses 1000000]
"""

import argparse
import asyncio
import gc
import json
import os
import random
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
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
PATIENT = 10.0
RULES = rules_of(LimitSettings())


@contextmanager
def valkey() -> Iterator[tuple[str, int]]:
    """Run a Valkey of our own, as the embedded stack does; return its URL and process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = program(folder, folder / "data")
        argv = [*started.argv, "--appendonly", "no", "--loglevel", "warning"]
        process = subprocess.Popen(argv, env=dict(started.environ))
        try:
            while not is_ready(folder):
                time.sleep(0.02)
            yield f"unix://{socket_in(folder)}", process.pid
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


def figure(durations: list[float], share: float) -> float:
    """Return the wait, in microseconds, that this share of all stays within."""
    return round(sorted(durations)[int(len(durations) * share)] * 1e6, 1)


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def decide(limiter: Limiter) -> float:
    """Time reserving; the attempt is settled as a failure, untimed."""
    ask, mark = ask_of(an_address(), secrets.token_bytes(8)), secrets.token_bytes(6)
    started = time.perf_counter()
    answer = await limiter.reserve(ask)
    took = time.perf_counter() - started
    if isinstance(answer, Reserved):
        await limiter.settle(answer, Verdict.COUNTS, mark=mark)
    return took


async def latency(url: str, count: int) -> dict[str, list[float]]:
    """Return so many waits of a PING and of a decision in Valkey, in turns; then of local ones."""
    remote = ValkeyLimiter(url, RULES, lease=LEASE, alarm_accounts=10**6, patience=PATIENT)
    await remote.check()
    connection = await connect(url, PATIENT)
    local = LocalLimiter(RULES, lease=LEASE, alarm_accounts=10**6)
    waits: dict[str, list[float]] = {"ping": [], "valkey": [], "local": []}
    for _ in range(count):
        waits["ping"].append(await timed(lambda: connection.ask(["PING"])))
        waits["valkey"].append(await decide(remote))
    waits["local"] = [await decide(local) for _ in range(count)]
    connection.close()
    await remote.close()
    return waits


def placed(url: str, valkey_pid: int, rounds: int, count: int) -> dict[str, Any]:
    """Measure with us and Valkey where the system puts us, on one core, and on one each."""
    cores = sorted(os.sched_getaffinity(0))
    placements = {"free": (cores, cores), "one core": (cores[:1],) * 2}
    if len(cores) > 1:
        placements["a core each"] = (cores[:1], cores[1:])
    found: dict[str, Any] = {}
    gc.collect()
    gc.freeze()
    for name, (ours, its) in placements.items():
        os.sched_setaffinity(0, ours)
        on_cores(valkey_pid, its)
        taken = [uvloop.run(latency(url, count // rounds)) for _ in range(rounds)]
        found[name] = {
            what: {
                "p50_us": statistics.median(figure(each[what], 0.5) for each in taken),
                "p99_us": statistics.median(figure(each[what], 0.99) for each in taken),
                "p99_us_of_rounds": [round(figure(each[what], 0.99)) for each in taken],
            }
            for what in ("ping", "valkey", "local")
        }
    os.sched_setaffinity(0, cores)
    on_cores(valkey_pid, cores)
    return found


def on_cores(pid: int, cores: Sequence[int]) -> None:
    """Keep all threads of a process on these cores. Linux only."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


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
    parser.add_argument("--decisions", type=int, default=20_000, help="of each placement")
    parser.add_argument("--rounds", type=int, default=10, help="of each placement")
    parser.add_argument("--addresses", type=int, default=1_000_000)
    given = parser.parse_args()
    with valkey() as (url, pid):
        found: dict[str, Any] = {"load_average": os.getloadavg()[0]}
        found |= placed(url, pid, given.rounds, given.decisions)
        if given.addresses:
            found["memory"] = uvloop.run(million(url, given.addresses))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
