"""`kill -9` of worker, service, Valkey and PostgreSQL while a hundred people register.

Afterwards every identity in Kratos has its member row, its tuples and exactly one welcome mail:
nothing twice, nothing lost.
"""

import json
import random
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.private_stack import PrivateStack

PEOPLE = 100
AT_ONCE = 6
# Fewer than the five deaths a minute at which the stack gives a process up.
KILLS_EACH = 3
VICTIMS = ("worker", "service", "valkey", "postgres")
JSON = {"accept": "application/json"}


@pytest.fixture
def stack(tmp_path) -> Iterator[PrivateStack]:
    """A stack of this test's own, which looks for lost hooks every few seconds."""
    settings = {
        "KLEIS_RECONCILE_PERIOD": "PT3S",
        "KLEIS_RECONCILE_GRACE": "PT5S",
        "KLEIS_MAX_ATTEMPTS": "30",
        # A hundred people who ask again and again from one address, on purpose.
        "KLEIS_LIMIT_LOOPBACK_FACTOR": "1000",
    }
    private = PrivateStack(tmp_path, settings)
    private.start()
    yield private
    private.stop()


class Registrant:
    """Somebody who does not give up: every step is tried until it is done."""

    def __init__(self, stack: PrivateStack) -> None:
        self.stack = stack
        self.name = secrets.token_hex(5)
        self.email = f"{self.name}@example.test"
        self.http = httpx.Client(base_url=stack.edge_url, timeout=30, headers=JSON)
        self.deadline = 0.0

    def live(self) -> None:
        self.deadline = time.monotonic() + 240
        with self.http:
            self._until(self._register)
            self._until(self._verify)

    def _until(self, step) -> None:
        while time.monotonic() < self.deadline:
            try:
                if step():
                    return
            except (httpx.HTTPError, ValueError, KeyError):
                pass
            time.sleep(0.3)
        raise AssertionError(f"{self.email} did not get through {step.__name__}")

    def _register(self) -> bool:
        flow = self.http.get("/self-service/registration/api").json()
        body = {
            "method": "password",
            "password": "Correct-Horse-4711",
            "traits": {"email": self.email, "username": f"u-{self.name}"},
        }
        answer = self.http.post(
            "/self-service/registration", params={"flow": flow["id"]}, json=body
        )
        taken = "4000007" in answer.text
        return answer.status_code == 200 or taken

    def _verify(self) -> bool:
        flow = self.http.get("/self-service/verification/api").json()
        there = {"params": {"flow": flow["id"]}}
        before = len(self._codes())
        self.http.post(
            "/self-service/verification", **there, json={"method": "code", "email": self.email}
        ).raise_for_status()
        patience = time.monotonic() + 30
        while len(codes := self._codes()) <= before:
            if time.monotonic() > patience:
                return False
            time.sleep(0.2)
        answers = [
            self.http.post(
                "/self-service/verification", **there, json={"method": "code", "code": code}
            )
            for code in codes[before:]
        ]
        return any("passed_challenge" in answer.text for answer in answers) or self._is_verified()

    def _is_verified(self) -> bool:
        return any(mail["subject"].startswith("Welcome") for mail in self._mails())

    def _mails(self) -> list[dict[str, str]]:
        answer = self.http.get("/dev/mailbox", params={"to": self.email})
        answer.raise_for_status()
        return answer.json()["items"]

    def _codes(self) -> list[str]:
        texts = (mail["text"] for mail in self._mails())
        return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]


def test_nothing_is_lost_and_nothing_happens_twice(stack):
    chance = random.Random()  # what matters is that it differs each time
    registrants = [Registrant(stack) for _ in range(PEOPLE)]
    killer = threading.Thread(target=kill_at_random, args=(stack, chance))
    killer.start()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Registrant.live, registrants))
    killer.join()

    await_calm(stack, registrants)

    identities = {person["id"]: person for person in listed(stack, "/admin/identities")}
    assert len(identities) == PEOPLE + len(stack.facts["demo_members"])
    assert members_of(stack) == dict.fromkeys(identities, "active")
    tuples = Counter(tuples_of(stack))
    assert set(tuples.values()) == {1}, "a tuple stands twice"
    ours = {
        subject for subject in identities if identities[subject]["traits"]["username"][:2] == "u-"
    }
    for subject in ours:
        assert (subject, "active") in tuples
        assert (subject, "users") in tuples
    welcomes = Counter(
        mail["to"] for mail in mails_of(stack) if mail["subject"].startswith("Welcome")
    )
    assert welcomes == Counter(identity["traits"]["email"] for identity in identities.values())


def kill_at_random(stack: PrivateStack, chance: random.Random) -> None:
    victims = list(VICTIMS) * KILLS_EACH
    chance.shuffle(victims)
    for name in victims:
        time.sleep(chance.uniform(0.3, 3))
        try:
            old = stack.kill(name)
        except (ProcessLookupError, KeyError, ValueError):
            continue
        stack.await_restart(name, old)


def await_calm(stack: PrivateStack, registrants: list[Registrant]) -> None:
    """Wait until all parts are there, agree, and have nothing left to do."""
    deadline = time.monotonic() + 240
    while True:
        doctor = stack.run("doctor", "--json")
        report = json.loads(doctor.stdout) if doctor.stdout.startswith("{") else {}
        waiting = {
            lane: counts
            for lane, counts in report.get("outbox", {}).items()
            if lane != "event" and any(counts.values())
        }
        if report.get("healthy") and not waiting:
            return
        assert time.monotonic() < deadline, doctor.stdout + doctor.stderr
        time.sleep(1)


def listed(stack: PrivateStack, path: str) -> list[dict]:
    headers = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}
    answer = httpx.get(
        stack.edge_url + path, params={"page_size": 500}, headers=headers, timeout=30
    )
    answer.raise_for_status()
    return answer.json()


def tuples_of(stack: PrivateStack) -> list[tuple[str, str]]:
    headers = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}
    query = {"namespace": "Platform", "page_size": 500}
    answer = httpx.get(
        f"{stack.edge_url}/relation-tuples", params=query, headers=headers, timeout=30
    )
    body = answer.json()
    assert not body["next_page_token"]
    return [(item["subject_id"], item["relation"]) for item in body["relation_tuples"]]


def members_of(stack: PrivateStack) -> dict[str, str]:
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute("select identity_id, status from members").fetchall()
    return {str(identity_id): status for identity_id, status in rows}


def mails_of(stack: PrivateStack) -> list[dict[str, str]]:
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute("select recipient, subject from mailbox").fetchall()
    return [{"to": to, "subject": subject} for to, subject in rows]
