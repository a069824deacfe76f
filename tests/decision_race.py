"""Checks that race revocations and suspensions over two edges of one stack; the whole is recorded.

Everything goes through the edges' public paths. Each target is changed by one task alone, so that
its changes have an order; checks go where they like.
"""

import asyncio
import json
import random
import secrets
import subprocess
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx

from tests.decision_history import Allowed, Change
from tests.private_stack import KLEIS, PATIENCE, PrivateStack, free_ports

PERMISSIONS = ("members.suspend", "members.read", "reports.review")
OF_EVERYBODY = "content.read"
Target = tuple[str, str]
"""A subject, and a permission."""


@dataclass
class History:
    """What was seen.

    Attributes:
        reasons: How often each reason was given.
    """

    allowed: list[Allowed] = field(default_factory=list)
    changes: dict[Target, list[Change]] = field(default_factory=lambda: defaultdict(list))
    checks: int = 0
    reasons: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def taken(self) -> int:
        return sum(not each.gives for changes in self.changes.values() for each in changes)


@dataclass(frozen=True)
class Race:
    """How much is to happen.

    Attributes:
        at_once: Checks under way at the same time.
        fresh: Share of the checks that ask for it.
    """

    checks: int
    revokes: int
    suspensions: int
    grantees: int = 12
    suspects: int = 4
    at_once: int = 16
    fresh: float = 0.1


@contextmanager
def second_edge(stack: PrivateStack) -> Iterator[str]:
    """Run another edge of a stack and return its address."""
    (port,) = free_ports(1)
    settings = json.loads((stack.home / "settings.json").read_text())
    environ = {name: value for name, value in stack.environ.items() if "KLEIS_" not in name}
    environ |= {name: str(value) for name, value in settings.items()}
    environ["KLEIS_PORT_EDGE"] = str(port)
    with (stack.home / "second_edge.log").open("wb") as log:
        process = subprocess.Popen([KLEIS, "serve", "edge"], env=environ, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            assert process.poll() is None, (stack.home / "second_edge.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/alive", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


class Racers:
    """Everybody who takes part, over one HTTP client."""

    def __init__(self, edges: Sequence[str], key: str, race: Race) -> None:
        self._edges = edges
        self._headers = {"Authorization": f"Bearer {key}"}
        self._race = race
        self._random = random.Random(6)
        self.history = History()
        self._grantees: list[str] = []
        self._suspects: list[str] = []
        self._done = asyncio.Event()

    async def run(self, disturb: Callable[[], Awaitable[None]] | None = None) -> History:
        """Let all race; `disturb` runs beside them."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(
            connector=connector, headers=self._headers, timeout=timeout
        ) as session:
            self._session = session
            await self._make_members()
            checking = [asyncio.create_task(self._check()) for _ in range(self._race.at_once)]
            if disturb is not None:
                checking.append(asyncio.create_task(disturb()))
            await asyncio.gather(*self._changing())
            self._done.set()
            await asyncio.gather(*checking)
        return self.history

    def _changing(self) -> list[Awaitable[None]]:
        targets = [(who, what) for who in self._grantees for what in PERMISSIONS]
        each = -(-self._race.revokes // len(targets))
        suspensions = -(-self._race.suspensions // len(self._suspects))
        return [
            *(self._give_and_take(target, each) for target in targets),
            *(self._suspend_and_enable(who, suspensions) for who in self._suspects),
        ]

    # Checks

    async def _check(self) -> None:
        targets = [(who, what) for who in self._grantees for what in PERMISSIONS]
        targets += [(who, OF_EVERYBODY) for who in self._suspects]
        while not (self._done.is_set() and self.history.checks >= self._race.checks):
            target = targets[min(int(self._random.paretovariate(0.6)) - 1, len(targets) - 1)]
            edge = self._random.randrange(len(self._edges))
            fresh = self._random.random() < self._race.fresh
            ask = self._ask_ours if fresh or self._random.random() < 0.7 else self._ask_orys
            asked_at = time.monotonic()
            try:
                allowed, reason = await ask(edge, target, fresh)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.history.failures[type(error).__name__] += 1
                await asyncio.sleep(0.02)
                continue
            self.history.checks += 1
            self.history.reasons[reason] += 1
            if allowed:
                self.history.allowed.append(
                    Allowed(target, edge, fresh, asked_at, time.monotonic())
                )

    async def _ask_ours(self, edge: int, target: Target, fresh: bool) -> tuple[bool, str]:
        body = {"subject": target[0], "permission": target[1], "fresh": fresh}
        answer = await self._call("POST", edge, "/api/permissions/check", body)
        return answer["allowed"], answer["reason"]

    async def _ask_orys(self, edge: int, target: Target, _: bool) -> tuple[bool, str]:
        subject, name = target
        query = f"namespace=Permission&object={name}&relation=use&subject_id={subject}"
        answer = await self._call("GET", edge, f"/relation-tuples/check/openapi?{query}", None)
        return answer["allowed"], "ory"

    async def _call(self, method: str, edge: int, path: str, body: object) -> Any:
        url = self._edges[edge] + path
        async with self._session.request(method, url, json=body) as answer:
            if answer.status != 200:
                raise ValueError(answer.status)
            return await answer.json()

    # Changes

    async def _give_and_take(self, target: Target, times: int) -> None:
        for _ in range(times):
            grant_id = await self._give(target)
            await asyncio.sleep(self._random.uniform(0.0, 0.3))
            await self._changed(
                target, "DELETE", f"/api/admin/grants/{grant_id}", None, gives=False
            )
            await asyncio.sleep(self._random.uniform(0.0, 0.3))

    async def _give(self, target: Target) -> str:
        body = {"subject": target[0], "permission": target[1], "reason": "a race"}
        answer = await self._changed(target, "POST", "/api/admin/grants", body, gives=True)
        return str(answer["id"])

    async def _suspend_and_enable(self, who: str, times: int) -> None:
        for _ in range(times):
            for state, gives in (("inactive", False), ("active", True)):
                body = [{"op": "replace", "path": "/state", "value": state}]
                path = f"/admin/identities/{who}"
                await self._changed((who, OF_EVERYBODY), "PATCH", path, body, gives=gives)
                await asyncio.sleep(self._random.uniform(0.1, 0.8))

    async def _changed(
        self, target: Target, method: str, path: str, body: object, *, gives: bool
    ) -> Any:
        """Bring a change about, whatever it takes, and record when it was sent and confirmed."""
        sent_at = time.monotonic()
        while True:
            edge = self._random.randrange(len(self._edges))
            url = self._edges[edge] + path
            try:
                async with self._session.request(method, url, json=body) as answer:
                    text = await answer.text()
                    if answer.status in (200, 201, 204, 404, 409):
                        done = Change(gives, edge, sent_at, time.monotonic())
                        self.history.changes[target].append(done)
                        return json.loads(text) if text else None
                    self.history.failures[f"{method} {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.history.failures[f"{method} {type(error).__name__}"] += 1
            await asyncio.sleep(0.2)

    async def _make_members(self) -> None:
        count = self._race.grantees + self._race.suspects
        made = [await self._member() for _ in range(count)]
        self._grantees, self._suspects = made[: self._race.grantees], made[self._race.grantees :]
        for who in made:
            while not (await self._ask_ours(0, (who, OF_EVERYBODY), fresh=True))[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _member(self) -> str:
        name = f"race-{secrets.token_hex(4)}"
        email = f"{name}@example.test"
        body = {
            "schema_id": "member",
            "traits": {"email": email, "username": name},
            "verifiable_addresses": [
                {"value": email, "verified": True, "via": "email", "status": "completed"}
            ],
        }
        url = f"{self._edges[0]}/admin/identities"
        async with self._session.post(url, json=body) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])


def race(
    stack: PrivateStack,
    edges: Sequence[str],
    how: Race,
    disturb: Callable[[], Awaitable[None]] | None = None,
) -> History:
    """Let them race before a running stack."""
    return asyncio.run(Racers(edges, stack.facts["admin_api_key"], how).run(disturb))
