"""Decisions on permissions beside plain Keto and PyCasbin, all in one run.

Real PostgreSQL and Keto with some members and about ten tuples each. Rates: everything that serves
has one core together, the load has the other. The rest: all have all cores. PyCasbin is asked where
it is installed (`pip install casbin`).

    python -m benchmarks.decisions [--members 10000] [--seconds 3] [--questions 200000]
        [--only rates] [--only latencies] [--only memory]
"""

import argparse
import asyncio
import hashlib
import importlib.util
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from benchmarks.permission_world import PlatformWorld
from benchmarks.stage import LOAD_CORE, PROXY_CORE, closed_loop, free_port, run_on, serve, serving
from policies.permission_questions import Question

CONNECTIONS = 16
KEY = "kleis_0123456789abcdef_" + "k" * 43
CHECK = "/relation-tuples/check/openapi"


def settings_for(database_url: str, valkey_url: str, keto_url: str) -> Any:
    from integration.settings import Settings  # noqa: PLC0415 - only where it is needed

    return Settings(
        database_url=database_url,
        valkey_url=valkey_url,
        hook_secret="only for this benchmark",
        secret="only for this benchmark",
        keto_read_url=keto_url,
    )


def serve_edge(
    on_one_core: bool, database_url: str, valkey_url: str, keto_url: str, port: int
) -> None:
    from integration.edge.assembly import make_edge  # noqa: PLC0415 - only in its own process
    from integration.edge.protocol import EdgeProtocol  # noqa: PLC0415

    edge = make_edge(settings_for(database_url, valkey_url, keto_url))
    core = PROXY_CORE if on_one_core else None
    serve(edge, port, core=core, http=EdgeProtocol, ws="none")


def ours(question: Question) -> dict[str, str]:
    resource = f"{question.namespace}:{question.object}"
    return {"subject": question.subject, "action": question.relation, "resource": resource}


def ketos(question: Question) -> dict[str, str]:
    return {
        "namespace": question.namespace,
        "object": question.object,
        "relation": question.relation,
        "subject_id": question.subject,
    }


async def post(session: aiohttp.ClientSession, url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    async with session.post(url, data=body, headers=headers) as answer:
        text = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {text[:200]!r}")
        return text


def rate(url: str, bodies: list[bytes], seconds: float) -> float:
    """Return answers a second; the bodies are sent in turn."""
    at = 0

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal at
        at += 1
        await post(session, url, bodies[at % len(bodies)])

    return asyncio.run(closed_loop(ask, seconds=seconds, connections=CONNECTIONS))


async def waits(url: str, bodies: list[bytes]) -> list[float]:
    """Return the milliseconds of each, asked one after the other over one connection."""
    found = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for body in bodies:
            started = time.perf_counter()
            await post(session, url, body)
            found.append((time.perf_counter() - started) * 1000)
    return found


def say(what: str, aim: str, found: str) -> None:
    print(f"| {what} | {aim} | {found} (load {os.getloadavg()[0]:.1f}) |", flush=True)


def over_http(edge: str, keto: str, world: PlatformWorld, seconds: float) -> None:
    hot = list(islice(world.traffic(seed=3), 500))
    mine, its = (
        [json.dumps(ours(q)).encode() for q in hot],
        [json.dumps(ketos(q)).encode() for q in hot],
    )
    # Each once: what is measured is hot.
    asyncio.run(waits(f"{edge}/api/permissions/check", mine))
    rates: dict[str, list[float]] = {"edge": [], "keto": []}
    for _ in range(3):
        rates["edge"].append(rate(f"{edge}/api/permissions/check", mine, seconds))
        rates["keto"].append(rate(keto + CHECK, its, seconds))
    edges, ketos_ = statistics.median(rates["edge"]), statistics.median(rates["keto"])
    say(
        "hot check over HTTP, edge / plain Keto",
        ">= 3",
        f"{edges / ketos_:.1f} ({edges:.0f} against {ketos_:.0f} a second)",
    )


def uncached_rates(edge: str, keto: str, world: PlatformWorld, seconds: float) -> None:
    """New questions about members that were asked about before, many at once."""
    url = f"{edge}/api/permissions/check"
    known = 20
    warm = world.different(20 * known, seed=7, among=known)
    rate(url, [json.dumps(ours(q)).encode() for q in warm], 1.0)
    ratios = []
    for number in range(3):
        new = world.different(8_000, seed=100 + number, among=known)
        straight = rate(keto + CHECK, [json.dumps(ketos(q)).encode() for q in new[:4000]], seconds)
        through = rate(url, [json.dumps(ours(q)).encode() for q in new[4000:]], seconds)
        ratios.append((straight / through, straight, through))
    ratio, straight, through = sorted(ratios)[1]
    say(
        f"uncached check, plain Keto / edge, {CONNECTIONS} at once on the same core",
        "<= 1.3",
        f"{ratio:.2f} ({straight:.0f} against {through:.0f} a second)",
    )


def uncached(edge: str, keto: str, world: PlatformWorld, count: int) -> None:
    """New questions about members that were asked about before, and about others."""
    url = f"{edge}/api/permissions/check"
    known = 20
    warm = world.different(20 * known, seed=7, among=known)
    asyncio.run(waits(url, [json.dumps(ours(q)).encode() for q in warm]))
    for who, among in (("known", known), ("first seen", 0)):
        new = world.different(2 * count, seed=time.time_ns(), among=among)
        straight, through = [], []
        for at in range(0, count, 25):
            its = [json.dumps(ketos(q)).encode() for q in new[at : at + 25]]
            mine = [json.dumps(ours(q)).encode() for q in new[count + at : count + at + 25]]
            straight += asyncio.run(waits(keto + CHECK, its))
            through += asyncio.run(waits(url, mine))
        a, b = statistics.median(through), statistics.median(straight)
        say(
            f"uncached check, edge / plain Keto, one at a time, member {who}",
            "<= 1.3",
            f"{a / b:.2f} (p50 {a:.2f} against {b:.2f} ms)",
        )


def batches(edge: str, world: PlatformWorld, rounds: int) -> None:
    url = f"{edge}/api/permissions"
    cold, cold_singles, hot, hot_singles = [], [], [], []
    for number in range(rounds):
        new = world.different(200, seed=time.time_ns() + number)
        batch, single = new[:100], new[100:]
        body = [json.dumps({"checks": [ours(q) for q in batch]}).encode()]
        singles = [json.dumps(ours(q)).encode() for q in single]
        cold.append(asyncio.run(waits(f"{url}/batch-check", body))[0])
        cold_singles.append(sum(asyncio.run(waits(f"{url}/check", singles))))
        hot.append(asyncio.run(waits(f"{url}/batch-check", body))[0])
        hot_singles.append(sum(asyncio.run(waits(f"{url}/check", singles))))
    for what, aim, one, many in (
        ("hot", "<= 0.25", hot, hot_singles),
        ("cold", "<= 0.8", cold, cold_singles),
    ):
        a, b = statistics.median(one), statistics.median(many)
        say(
            f"batch of 100 / 100 single checks, {what}",
            aim,
            f"{a / b:.2f} ({a:.1f} against {b:.1f} ms)",
        )


class InProcess:
    """The decisions of an edge, without its HTTP."""

    def __init__(self, database_url: str, valkey_url: str, keto_url: str) -> None:
        from integration.edge.database import Database  # noqa: PLC0415
        from integration.edge.decisions.decide import Decisions  # noqa: PLC0415
        from integration.edge.decisions.keto_checks import KetoChecks  # noqa: PLC0415
        from integration.edge.decisions.settling import Settling  # noqa: PLC0415
        from integration.edge.decisions.standing import Standings  # noqa: PLC0415
        from integration.edge.decisions.subjects import Subjects  # noqa: PLC0415
        from integration.edge.decisions.upstream import DecisionUpstream  # noqa: PLC0415
        from integration.edge.epochs import Epochs  # noqa: PLC0415

        settings = settings_for(database_url, valkey_url, keto_url)
        self.database = Database(settings)
        self.epochs = Epochs(settings, self.database)
        self.upstream = DecisionUpstream(settings)
        self.keto = KetoChecks(self.upstream, seconds=5.0)
        settling = Settling(self.upstream, seconds=1.0)
        standings = Standings(self.epochs, Subjects(self.database, self.epochs), settling)
        self.decisions = Decisions(settings, standings=standings, keto=self.keto)

    async def __aenter__(self) -> "InProcess":
        await self.database.start()
        await self.upstream.start()
        await self.epochs.start()
        await self.epochs.catch_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.epochs.close()
        await self.upstream.close()
        await self.database.close()


_MOVE = """
INSERT INTO subject_epochs AS known VALUES (%s, 1, 0, 0, pg_current_xact_id()::text::bigint)
ON CONFLICT (subject_id) DO UPDATE
SET epoch = known.epoch + 1, xid = pg_current_xact_id()::text::bigint
"""


async def in_process(within: InProcess, world: PlatformWorld, count: int, keto: str) -> None:
    from integration.edge.decisions.decision import Asking  # noqa: PLC0415

    traffic = world.traffic(seed=5)
    chance = random.Random(6)
    for _ in range(count // 200):
        await within.decisions.decide_all(
            [Asking(each) for each in islice(traffic, 200)], share="benchmark"
        )
    found = 0
    for question in islice(traffic, count):
        if chance.random() < 0.01:
            # A grant or a revocation of anybody.
            await within.database.execute(_MOVE, (chance.choice(world.members),))
            await within.epochs.catch_up()
        if within.decisions.at_hand(question) is not None:
            found += 1
        else:
            await within.decisions.decide(Asking(question))
    say(
        f"hit rate of {count} after as many, Zipf traffic, 1 % writes",
        ">= 90 %",
        f"{100 * found / count:.1f} %",
    )
    hot = [q for q in islice(world.traffic(seed=5), 2000) if within.decisions.at_hand(q)]
    took = timed(within.decisions.at_hand, hot)
    plain = statistics.median(
        await waits(keto + CHECK, [json.dumps(ketos(q)).encode() for q in hot[:300]])
    )
    say("cached decision in process", "p50 <= 10 us", f"{took:.1f} us")
    say("plain Keto / cached decision", ">= 100", f"{plain * 1000 / took:.0f}")
    if importlib.util.find_spec("casbin") is None:
        print("PyCasbin is not installed: not compared")
        return
    enforcer = casbin_of(world)
    theirs = timed(lambda q: enforcer.enforce(q.subject, q.object, q.relation), hot[:20])
    say("PyCasbin / cached decision", ">= 10", f"{theirs / took:.0f} ({theirs:.0f} us)")


def timed(ask: Callable[[Question], object], questions: list[Question]) -> float:
    """Return the median microseconds of one."""
    found = []
    for question in questions:
        started = time.perf_counter_ns()
        ask(question)
        found.append((time.perf_counter_ns() - started) / 1000)
    return statistics.median(found)


_CASBIN = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && (p.obj == r.obj || p.obj == "*") && p.act == r.act
"""


def casbin_of(world: PlatformWorld) -> Any:
    """Return an enforcer that knows the same roles, owners, editors and viewers."""
    import logging  # noqa: PLC0415

    import casbin  # noqa: PLC0415

    logging.disable(logging.INFO)
    model = casbin.Model()
    model.load_model_from_text(_CASBIN)
    enforcer = casbin.Enforcer(model)
    gives = {"owners": ("view", "find", "edit"), "editors": ("view", "edit"), "viewers": ("view",)}
    policies = [
        [each["subject_id"], each["object"], action]
        for each in world.tuples()
        for action in gives.get(str(each["relation"]), ())
    ]
    public = {each["object"] for each in world.tuples() if each["relation"] == "audience"}
    policies += [["everybody", name, "view"] for name in public]
    policies += [["moderator", "*", "view"], ["admin", "*", "view"], ["admin", "*", "edit"]]
    enforcer.add_policies(list({tuple(each): each for each in policies}.values()))
    roles = [[member, str(role)] for member, role in world.roles.items()]
    enforcer.add_grouping_policies(roles + [[member, "everybody"] for member in world.members])
    return enforcer


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    world: PlatformWorld
    edge: str
    keto: str
    database_url: str
    valkey_url: str


@contextmanager
def placed(members: int, *, on_one_core: bool) -> Iterator[Place]:
    """Run PostgreSQL, Valkey, Keto and an edge, filled."""
    from integration.db.migrations.upgrade import upgrade  # noqa: PLC0415
    from tests.conftest import _embedded  # noqa: PLC0415
    from tests.keto.server import keto_running  # noqa: PLC0415

    cores = os.sched_getaffinity(0)
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        if on_one_core:
            run_on(PROXY_CORE)  # what is started from here on inherits it
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = _embedded(stack, folder, is_measured=True)
        database_url = databases.new_database()
        upgrade(database_url)
        keto = stack.enter_context(keto_running(databases.new_database(), folder))
        world = PlatformWorld(members)
        tuples = world.load(keto.write_url, database_url)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO api_keys (id, sha256, name, scopes, created_at)"
                " VALUES ('0123456789abcdef', %s, 'benchmark', '{permissions:read}', now())",
                (hashlib.sha256(KEY.encode()).digest(),),
            )
        port, keto_url = free_port(), str(keto.read_url).rstrip("/")
        where = (database_url, databases.valkey_url)
        stack.enter_context(serving(serve_edge, on_one_core, *where, keto_url, port))
        if on_one_core:
            run_on(LOAD_CORE)
        servers = "on one core" if on_one_core else "on all cores"
        print(f"{members} members, {tuples} tuples, servers {servers}", flush=True)
        yield Place(world, f"http://127.0.0.1:{port}", keto_url, *where)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--questions", type=int, default=200_000, help="for the hit rate")
    parts = ("rates", "latencies", "memory")
    parser.add_argument("--only", choices=parts, action="append", help="again for several")
    given = parser.parse_args()
    wanted = given.only or parts
    if "rates" in wanted:
        with placed(given.members, on_one_core=True) as place:
            over_http(place.edge, place.keto, place.world, given.seconds)
            uncached_rates(place.edge, place.keto, place.world, given.seconds)
    if wanted == ["rates"]:
        return
    with placed(given.members, on_one_core=False) as place:
        if "latencies" in wanted:
            uncached(place.edge, place.keto, place.world, 300)
            batches(place.edge, place.world, 5)
        if "memory" in wanted:
            asyncio.run(inside(place, given.questions))


async def inside(place: Place, questions: int) -> None:
    async with InProcess(place.database_url, place.valkey_url, place.keto) as within:
        await in_process(within, place.world, questions, place.keto)


if __name__ == "__main__":
    main()
