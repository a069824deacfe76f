"""What tokens cost, as ratios of one run, in a stack of its own.

* An access token for a session beside one `whoami` of the same Kratos: what issuing adds to it.
* A refresh, with the service's own code, beside the same update of the same row done raw. Both by
  the same number of connections in the same number of processes, both prepared, both committed and
  flushed one by one. The session was last used a while ago, as in life: a refresh notes that too.
* The slowest refreshes of a million living families beside those of ten thousand.

    python -m benchmarks.tokens [--seconds 3] [--families 1000000] [--connections 4]
"""

import argparse
import hashlib
import itertools
import json
import logging
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import structlog

from benchmarks.logins import make_member
from benchmarks.stage import percentile
from integration.launch.kleis import settings_from
from integration.services import Services, make_services
from integration.tokens import refresh, refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens
from integration.tokens.key_ring import KeyRing
from integration.tokens.refresh_tokens import RefreshToken
from tests.private_stack import PrivateStack

FEW = 10_000
ROUNDS = 3
AGENT = "benchmark/1.0"
CLIENT = Client("192.0.2.1", AGENT)
# As `md5` and `sha256` of PostgreSQL make them, so that nobody has to carry a million of them over.
_FILL = """
INSERT INTO member_sessions (session_id, identity_id, started_at, authenticated_at, expires_at,
    methods, aal, last_activity_at)
SELECT md5('s' || n)::uuid, %(member)s, now(), now(), now() + interval '7 days',
    '{password}', 'aal1', now() - interval '15 minutes'
FROM generate_series(%(first)s, %(last)s) AS n;
INSERT INTO token_families (id, session_id, identity_id, application, generation, current_hash,
    client_hash, created_at, expires_at)
SELECT md5('f' || n)::uuid, md5('s' || n)::uuid, %(member)s, 'kleis', 0,
    sha256(sha256(('t' || n)::bytea)), %(client)s, now(), now() + interval '7 days'
FROM generate_series(%(first)s, %(last)s) AS n;
ANALYZE member_sessions; ANALYZE token_families;
"""
_RAW = (
    "UPDATE token_families SET generation = generation, current_hash = current_hash,"
    " previous_hash = %s, client_hash = %s, rotated_at = now(), expires_at = now() + '7 days'"
    " WHERE id = %s"
)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def family(number: int) -> UUID:
    return UUID(hashlib.md5(f"f{number}".encode()).hexdigest())


def first_token(number: int) -> RefreshToken:
    return RefreshToken(family(number), 0, hashlib.sha256(f"t{number}".encode()).digest())


def fill(database_url: str, member: str, first: int, last: int) -> None:
    values = {
        "member": member,
        "first": first,
        "last": last,
        "client": refresh_tokens.client_hash(AGENT),
    }
    with psycopg.connect(database_url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_FILL.encode(), values)


class Refreshing:
    """Refreshes of some families, each with the newest token it has."""

    def __init__(self, services: Services, ring: KeyRing) -> None:
        self._services = services
        self._ring = ring
        self._newest: dict[int, RefreshToken] = {}

    def __call__(self, number: int) -> None:
        token = self._newest.get(number) or first_token(number)
        made = refresh.refresh(self._services, self._ring.signer(), token, CLIENT)
        if not isinstance(made, Tokens):
            raise TypeError(f"family {number}: {made}")
        following = refresh_tokens.parse(made.refresh_token)
        assert following is not None
        self._newest[number] = following


class Raw:
    """The same update of the same rows, without anything around it."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)

    def __call__(self, number: int) -> None:
        values = (b"x" * 32, refresh_tokens.client_hash(AGENT), family(number))
        self._connection.execute(_RAW, values, prepare=True)


def timed(work: Callable[[int], None], numbers: Iterator[int], seconds: float) -> list[float]:
    """Return the milliseconds of each piece of work done without a pause."""
    waits, end = [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        work(next(numbers))
        waits.append((time.perf_counter() - started) * 1000)
    return waits


@dataclass(frozen=True)
class Share:
    """What one process does: so many threads, each with families of its own."""

    settings: dict[str, str]
    families: range
    seconds: float
    threads: int
    first: int
    of: int

    def numbers(self, thread: int) -> Iterator[int]:
        """Yield families at random, of all those that fall to one thread."""
        mine = self.families[self.first + thread :: self.of]
        chance = random.Random(mine[0])
        while True:
            yield chance.choice(mine)


def run_share(share: Share, start: Any, results: Any) -> None:
    """Work in turns, raw and whole, each begun by all processes at once."""
    quiet()
    settings = settings_from(share.settings)
    services = make_services(settings)
    ring = KeyRing(services.settings, services.transaction, services.now)
    url = settings.database_url.get_secret_value()
    threads = range(share.threads)
    works: dict[str, list[Callable[[int], None]]] = {
        "raw": [Raw(url) for _ in threads],
        "whole": [Refreshing(services, ring) for _ in threads],
    }
    numbers = [share.numbers(thread) for thread in threads]
    with ThreadPoolExecutor(share.threads) as pool:
        for _ in range(ROUNDS):
            for name, of_threads in works.items():
                start.wait()
                found = pool.map(timed, of_threads, numbers, [share.seconds] * share.threads)
                results.put((name, [wait for waits in found for wait in waits]))
    services.close()


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def issuing(stack: PrivateStack, seconds: float) -> None:
    member = make_member(stack)
    settings = json.loads((stack.home / "settings.json").read_text())
    kratos, service = settings["KLEIS_KRATOS_PUBLIC_URL"], settings["KLEIS_SERVICE_URL"]
    with httpx.Client(timeout=30) as client:
        flow = client.get(f"{stack.edge_url}/self-service/login/api").json()["id"]
        answer = client.post(
            f"{stack.edge_url}/self-service/login", params={"flow": flow}, json=member
        )
        headers = {"X-Session-Token": answer.json()["session_token"]}
        asked: dict[str, list[float]] = {"whoami": [], "tokens": []}
        end = time.perf_counter() + seconds * 2
        for name in itertools.cycle(asked):
            started = time.perf_counter()
            if name == "whoami":
                answer = client.get(f"{kratos}sessions/whoami", headers=headers)
            else:
                answer = client.post(f"{service}api/tokens", headers=headers)
            asked[name].append((time.perf_counter() - started) * 1000)
            answer.raise_for_status()
            if started > end:
                break
        ending(client, f"{service}api/tokens", headers)
    whoami, tokens = (statistics.median(waits) for waits in asked.values())
    say(
        f"tokens for a session: p50 {tokens:.1f} ms, one whoami {whoami:.1f} ms:"
        f" {tokens - whoami:+.1f} ms, {tokens / whoami:.1f} x (n = {len(asked['tokens'])})"
    )


def ending(client: httpx.Client, tokens: str, headers: dict[str, str]) -> None:
    """Print how long after the answer to a logout a waiting verifier has the new list."""
    version = client.get(f"{tokens}/revocations").headers["etag"]
    heard: list[float] = []

    def wait() -> None:
        with httpx.Client(timeout=40) as own:
            own.get(
                f"{tokens}/revocations", params={"wait": 25}, headers={"If-None-Match": version}
            )
        heard.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    access = client.post(tokens, headers=headers).json()["access_token"]
    client.post(f"{tokens}/revoke", json={"token": access}).raise_for_status()
    ended = time.perf_counter()
    waiting.join()
    say(f"the end of a session reaches who waits for it {heard[0] - ended:+.2f} s after its answer")


def refreshing(
    settings: dict[str, str], families: range, options: argparse.Namespace, *, processes: int
) -> float:
    """Print how refreshes compare with raw updates; return their p99 in milliseconds.

    Args:
        families: Never refreshed before.
    """
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.Queue()
    threads, connections = options.connections // processes, options.connections
    shares = [
        Share(settings, families, options.seconds, threads, number * threads, connections)
        for number in range(processes)
    ]
    working = [context.Process(target=run_share, args=(each, start, results)) for each in shares]
    for process in working:
        process.start()
    waits: dict[str, list[float]] = {"raw": [], "whole": []}
    counts: dict[str, list[int]] = {"raw": [], "whole": []}
    for _ in range(ROUNDS):
        for _name in waits:
            found = [results.get(timeout=60 + options.seconds) for _ in working]
            name = found[0][0]
            counts[name].append(sum(len(mine) for _, mine in found))
            waits[name] += [wait for _, mine in found for wait in mine]
    for process in working:
        process.join()
    ratios = [whole / raw for whole, raw in zip(counts["whole"], counts["raw"], strict=True)]
    a_second = {name: sum(each) / ROUNDS / options.seconds for name, each in counts.items()}
    p50, p99 = statistics.median(waits["whole"]), percentile(waits["whole"], 99)
    say(
        f"{families.stop} families, {processes} process(es): a refresh is"
        f" {statistics.median(ratios):.2f} of a raw update ({a_second['whole']:.0f} of"
        f" {a_second['raw']:.0f} a second, p50 {p50:.1f} of"
        f" {statistics.median(waits['raw']):.1f} ms, p99 {p99:.1f} ms)"
    )
    return p99


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--families", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as name:
        stack = PrivateStack(Path(name), {"KLEIS_LOG_LEVEL": "warning"})
        try:
            stack.start()
            issuing(stack, options.seconds)
            settings = json.loads((stack.home / "settings.json").read_text())
            url = settings["KLEIS_DATABASE_URL"]
            with psycopg.connect(url) as connection:
                row = connection.execute(
                    "select identity_id from members where status = 'active' limit 1"
                ).fetchone()
            assert row is not None
            fill(url, str(row[0]), 0, FEW - 1)
            few = refreshing(settings, range(FEW), options, processes=1)
            most = options.families
            fill(url, str(row[0]), FEW, most - 1)
            many = refreshing(settings, range(FEW, most), options, processes=1)
            say(f"p99 of {most} families: {many / few:.2f} x that of {FEW}")
            fill(url, str(row[0]), most, most + FEW - 1)
            refreshing(settings, range(most, most + FEW), options, processes=2)
        finally:
            stack.close()


if __name__ == "__main__":
    main()
