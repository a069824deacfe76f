"""What tokens cost, as ratios of one run, in a stack of its own.

* An access token for a session beside one `whoami` of the same Kratos: what issuing adds to it.
* A refresh, with the service's own code, beside the same update of the same row done raw, by as
  many connections.
* The slowest refreshes of a million living families beside those of ten thousand.

    python -m benchmarks.tokens [--seconds 3] [--families 1000000] [--connections 4]
"""

import argparse
import hashlib
import itertools
import json
import logging
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
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
# As `md5` and `sha256` of PostgreSQL make them, so that nobody has to carry a million of them over.
_FILL = """
INSERT INTO member_sessions (session_id, identity_id, started_at, authenticated_at, expires_at,
    methods, aal, last_activity_at)
SELECT md5('s' || n)::uuid, %(member)s, now(), now(), now() + interval '7 days',
    '{password}', 'aal1', now()
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


def loops(work: Callable[[random.Random], None], *, seconds: float, threads: int) -> list[float]:
    """Return the milliseconds of each piece of work done by so many threads without a pause."""
    waits: list[float] = []

    def one(seed: int) -> None:
        mine, chance, end = [], random.Random(seed), time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            work(chance)
            mine.append((time.perf_counter() - started) * 1000)
        waits.extend(mine)

    workers = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return waits


class Refreshing:
    """Refreshes of random families, each with the newest token it has."""

    def __init__(self, services: Services, families: int) -> None:
        self._services = services
        self._families = families
        self._ring = KeyRing(services.settings, services.transaction, services.now)
        self._newest: dict[int, RefreshToken] = {}

    def __call__(self, chance: random.Random) -> None:
        number = chance.randrange(self._families)
        token = self._newest.pop(number, None) or first_token(number)
        client = Client("192.0.2.1", AGENT)
        made = refresh.refresh(self._services, self._ring.signer(), token, client)
        if isinstance(made, Tokens):
            following = refresh_tokens.parse(made.refresh_token)
            assert following is not None
            self._newest[number] = following


class Raw:
    """The same update of the same rows, without anything around it."""

    def __init__(self, database_url: str, families: int) -> None:
        self._url = database_url
        self._families = families
        self._own = threading.local()

    def __call__(self, chance: random.Random) -> None:
        if not hasattr(self._own, "connection"):
            self._own.connection = psycopg.connect(self._url, autocommit=True)
        some = family(chance.randrange(self._families))
        self._own.connection.execute(_RAW, (b"x" * 32, refresh_tokens.client_hash(AGENT), some))


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


def refreshing(services: Services, url: str, families: int, options: argparse.Namespace) -> float:
    """Print how refreshes compare with raw updates; return their p99 in milliseconds."""
    ours, raw = Refreshing(services, families), Raw(url, families)
    ratios, waits = [], []
    for _ in range(ROUNDS):
        plain = loops(raw, seconds=options.seconds, threads=options.connections)
        whole = loops(ours, seconds=options.seconds, threads=options.connections)
        ratios.append(len(whole) / len(plain))
        waits += whole
    p50, p99 = statistics.median(waits), percentile(waits, 99)
    say(
        f"{families} families: a refresh is {statistics.median(ratios):.2f} of a raw update"
        f" ({len(waits) / ROUNDS / options.seconds:.0f} a second, p50 {p50:.1f} ms,"
        f" p99 {p99:.1f} ms)"
    )
    return p99


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--families", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name:
        stack = PrivateStack(Path(name), {"KLEIS_LOG_LEVEL": "warning"})
        try:
            stack.start()
            issuing(stack, options.seconds)
            settings = settings_from(json.loads((stack.home / "settings.json").read_text()))
            services = make_services(settings)
            url = settings.database_url.get_secret_value()
            with psycopg.connect(url) as connection:
                row = connection.execute(
                    "select identity_id from members where status = 'active' limit 1"
                ).fetchone()
            assert row is not None
            fill(url, str(row[0]), 0, FEW - 1)
            few = refreshing(services, url, FEW, options)
            fill(url, str(row[0]), FEW, options.families - 1)
            many = refreshing(services, url, options.families, options)
            say(f"p99 of {options.families} families: {many / few:.2f} x that of {FEW}")
            services.close()
        finally:
            stack.close()


if __name__ == "__main__":
    main()
