"""Refreshes beside the same update done raw: for `benchmarks.tokens`.

The same update is the statement by which a refresh rotates, on bare connections: it sets the
family's row and notes the use of the session. Beside it the cheapest update of the family's row
alone. All by the same number of connections in the same number of processes, all prepared, all
committed and flushed one by one.
"""

import argparse
import contextlib
import hashlib
import logging
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import structlog

from benchmarks.stage import cpu_seconds, percentile
from integration.db.token_families import ROTATE, Rotation
from integration.launch.kleis import settings_from
from integration.services import Services, make_services
from integration.tokens import refresh, refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens
from integration.tokens.key_ring import KeyRing
from integration.tokens.refresh_tokens import RefreshToken

ROUNDS = 3
WAYS = ("bare", "raw", "whole")
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
_BARE = (
    "UPDATE token_families SET generation = generation, current_hash = current_hash,"
    " previous_hash = %s, client_hash = %s, rotated_at = now(), expires_at = now() + '7 days'"
    " WHERE id = %s"
)


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
        self._client_hash = refresh_tokens.client_hash(AGENT)
        self._newest: dict[int, tuple[int, bytes]] = {}

    def __call__(self, number: int) -> None:
        generation, old = self._newest.get(number) or (0, first_token(number).hash())
        new = generation.to_bytes(32, "big")
        now = datetime.now(UTC)
        rotation = Rotation(
            family_id=family(number),
            generation=generation + 1,
            new_hash=new,
            old_hash=old,
            client_hash=self._client_hash,
            now=now,
            expires_at=now + timedelta(days=7),
            unused_since=now - timedelta(minutes=1),
        )
        cursor = self._connection.execute(ROTATE, rotation._asdict(), prepare=True, binary=True)
        if cursor.fetchone() is None:
            raise TypeError(f"family {number}: not rotated")
        self._newest[number] = generation + 1, new


class Bare:
    """The cheapest update of a family: one row, known by its key, nothing looked at."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._client_hash = refresh_tokens.client_hash(AGENT)

    def __call__(self, number: int) -> None:
        values = (b"x" * 32, self._client_hash, family(number))
        self._connection.execute(_BARE, values, prepare=True)


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
    postgres: int
    families: range
    seconds: float
    threads: int
    first: int
    of: int

    def numbers(self, thread: int, half: int) -> Iterator[int]:
        """Yield families at random, of one half of those that fall to one thread.

        What rotates them raw knows no tokens: the other half is for what does.
        """
        mine = self.families[self.first + thread :: self.of][half::2]
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
        "bare": [Bare(url) for _ in threads],
        "raw": [Raw(url) for _ in threads],
        "whole": [Refreshing(services, ring) for _ in threads],
    }
    numbers = {
        name: [share.numbers(thread, half=int(name == "raw")) for thread in threads]
        for name in works
    }
    with ThreadPoolExecutor(share.threads) as pool:
        for _ in range(ROUNDS):
            for name, of_threads in works.items():
                start.wait()
                before = time.process_time(), server_seconds(share.postgres)
                found = pool.map(timed, of_threads, numbers[name], [share.seconds] * share.threads)
                waits = [wait for each in found for wait in each]
                spent = time.process_time() - before[0]
                results.put((name, waits, spent, server_seconds(share.postgres) - before[1]))
    services.close()


def server_seconds(postgres: int) -> float:
    """Return what a PostgreSQL and its living children have computed."""
    children = Path(f"/proc/{postgres}/task/{postgres}/children").read_text().split()
    total = 0.0
    for pid in children:
        # One may end meanwhile: a worker that cleaned up, a connection that was not used for long.
        with contextlib.suppress(FileNotFoundError):
            total += cpu_seconds(int(pid))
    return total


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def compare(
    settings: dict[str, str],
    postgres: int,
    families: range,
    options: argparse.Namespace,
    *,
    processes: int,
) -> tuple[float, str]:
    """Return the p99 of refreshes in milliseconds, and how they compare with raw updates, in words.

    Args:
        postgres: Process of the server.
        families: Never refreshed before.
    """
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.Queue()
    threads, connections = options.connections // processes, options.connections
    shares = [
        Share(settings, postgres, families, options.seconds, threads, number * threads, connections)
        for number in range(processes)
    ]
    working = [context.Process(target=run_share, args=(each, start, results)) for each in shares]
    for process in working:
        process.start()
    waits: dict[str, list[float]] = {name: [] for name in WAYS}
    counts: dict[str, list[int]] = {name: [] for name in WAYS}
    costs = dict.fromkeys(WAYS, 0.0)
    for _ in range(ROUNDS):
        for _name in waits:
            found = [results.get(timeout=60 + options.seconds) for _ in working]
            name = found[0][0]
            counts[name].append(sum(len(mine) for _, mine, _, _ in found))
            waits[name] += [wait for _, mine, _, _ in found for wait in mine]
            costs[name] += sum(own for *_, own, _ in found) + max(server for *_, server in found)
    for process in working:
        process.join()
    beside = {
        name: statistics.median(a / b for a, b in zip(counts["whole"], counts[name], strict=True))
        for name in ("raw", "bare")
    }
    a_second = {name: sum(each) / ROUNDS / options.seconds for name, each in counts.items()}
    cost = {name: costs[name] / len(waits[name]) * 1e6 for name in costs}
    p50, p99 = statistics.median(waits["whole"]), percentile(waits["whole"], 99)
    words = (
        f"{families.stop} families, {processes} process(es): a refresh is {beside['raw']:.2f} of"
        f" the same update done raw ({a_second['whole']:.0f} of {a_second['raw']:.0f} a second,"
        f" p50 {p50:.1f} of {statistics.median(waits['raw']):.1f} ms, p99 {p99:.1f} ms) and"
        f" {beside['bare']:.2f} of a bare one of one row ({a_second['bare']:.0f}); with the"
        f" server's share it computes {cost['whole']:.0f} us, they {cost['raw']:.0f} and"
        f" {cost['bare']:.0f}; load average {os.getloadavg()[0]:.1f}"
    )
    return p99, words
