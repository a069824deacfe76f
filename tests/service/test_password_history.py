"""Verdicts on passwords, the history, and what follows a change, on a real database.

Kratos is played by a stand-in that keeps what it is sent; the hooks are asked as Kratos asks them.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import argon2.low_level
import psycopg
import pytest
from aiohttp import web
from sqlalchemy import select

from integration.db import passwords
from integration.db.tables import OutboxEffect
from integration.members import lifecycle
from integration.tasks import sweeps
from policies.authority import Role
from policies.lifecycle import Actor, Trigger
from policies.registration import RegistrationAttempt, new_member
from tests.edge_stage import (
    Upstream,
    ask,
    edge_running,
    session_of,
    settings_for,
    upstream_running,
)

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GOOD = "Correct-Horse-1"


class Kratos(Upstream):
    """Remembers submits, and has a fresh session of whoever the token names."""

    second_factors: ClassVar[set[str]] = set()

    async def do_sessions_whoami(self, request):
        identity = request.headers.get("X-Session-Token")
        if identity is None:
            return web.json_response({"error": {"code": 401}}, status=401)
        aal = "aal2" if identity in self.second_factors else "aal1"
        traits = {"email": "ada@example.test", "username": "ada-77"}
        session = session_of(identity, aal=aal) | {"identity": {"traits": traits}}
        headers = {"X-Kratos-Authenticated-Identity-Id": identity}
        return web.json_response(session, headers=headers)

    async def do_self_service_settings(self, request):
        return web.json_response({"state": "success"})

    async def do_self_service_registration(self, request):
        return web.json_response({"ui": {"nodes": []}, "request_url": str(request.url)})

    def submitted(self) -> dict:
        return next(
            seen for seen in reversed(self.seen) if seen["target"].startswith("/self-service/")
        )

    def attempt(self) -> str:
        return parse_qs(urlsplit(self.submitted()["target"]).query)["kleis_attempt"][0]


@pytest.fixture(scope="module")
def kratos() -> Iterator[Kratos]:
    with upstream_running(Kratos()) as running:
        yield running


@pytest.fixture(scope="module")
def edge(kratos, database_url, valkey_url) -> Iterator[int]:
    changes = {"database_url": database_url, "valkey_url": valkey_url, "forward_timeout": "PT5S"}
    with edge_running(settings_for(kratos.port, **changes)) as port:
        yield port


@pytest.fixture
def member(services) -> UUID:
    identity_id = uuid4()
    attempt = RegistrationAttempt(email="ada@example.test", username="ada-77")
    with services.transaction() as session:
        lifecycle.adopt(session, identity_id, new_member(attempt), Role.USER, now=services.now())
    return identity_id


class Person:
    """Submits through the edge, then asks the hooks what Kratos would."""

    def __init__(self, edge, kratos, hooks, identity_id: UUID | None = None) -> None:
        self.edge, self.kratos, self.hooks, self.identity_id = edge, kratos, hooks, identity_id
        self.flow_id = uuid4()

    @property
    def kind(self) -> str:
        return "settings" if self.identity_id else "registration"

    def submit(self, password, **more):
        body = {"method": "password", "password": password, **more}
        headers = {**JSON}
        if self.identity_id:
            headers["X-Session-Token"] = str(self.identity_id)
        return ask(
            self.edge,
            "POST",
            f"/self-service/{self.kind}?flow={self.flow_id}",
            headers=headers,
            body=json.dumps(body).encode(),
        )

    def hook(self, kind, attempt=None, **changes):
        traits = dict.fromkeys(("first_name", "last_name", "display_name"), "")
        traits |= {"email": "ada@example.test", "username": "ada-77"}
        if kind == "submitted" or self.kind == "settings":
            traits["pending_email"] = ""
        body = {
            "flow_id": str(self.flow_id),
            "traits": traits,
            "attempt": self.kratos.attempt() if attempt is None else attempt,
        }
        if self.identity_id:
            body["identity_id"] = str(self.identity_id)
            if kind == "submitted":
                body["traits_before"] = traits
        return self.hooks.post(f"/hooks/{self.kind}/password/{kind}", json=body | changes)

    def codes(self, **changes) -> set[str]:
        answer = self.hook("submitted", **changes)
        if answer.status_code in (200, 204):
            return set()
        return {
            message["context"]["code"]
            for field in answer.json()["messages"]
            for message in field["messages"]
        }

    def change(self, password) -> set[str]:
        """Go all the way; return what was refused."""
        assert self.submit(password).status == 200
        refused = self.codes()
        if not refused:
            assert self.hook("completed").status_code == 204
        return refused


@pytest.fixture
def person(edge, kratos, hooks, member) -> Person:
    return Person(edge, kratos, hooks, member)


@pytest.fixture
def newcomer(edge, kratos, hooks) -> Person:
    return Person(edge, kratos, hooks)


def digests(services, identity_id):
    with services.transaction() as session:
        history = passwords.history(session, identity_id)
    return () if history is None else history.digests


def effects_of(services, lane):
    with services.transaction() as session:
        rows = session.scalars(
            select(OutboxEffect).where(OutboxEffect.lane == lane).order_by(OutboxEffect.seq)
        )
        return [(row.kind, row.payload, row) for row in rows]


def test_the_last_five_are_refused_and_the_sixth_is_not(person, services, member):
    names = [f"{GOOD}{number}" for number in range(6)]
    for name in names[:5]:
        assert person.change(name) == set()
    assert [person.change(name) for name in names[:5]] == [{"password_reused"}] * 5
    assert len(digests(services, member)) == 5

    assert person.change(names[5]) == set()
    assert person.change(names[0]) == set()
    assert person.change(names[5]) == {"password_reused"}
    assert len(digests(services, member)) == 5


def test_all_entries_of_a_member_share_one_salt_so_that_one_digest_finds_any(person, database_url):
    for number in range(5):
        person.change(f"{GOOD}{number}")
    with psycopg.connect(database_url) as connection:
        salts = connection.execute(
            "select count(distinct salt), max(cardinality(digests)) from password_histories"
        ).fetchone()
    assert salts == (1, 5)


def test_the_first_password_counts_too(newcomer, services, edge, kratos, hooks):
    traits = {"email": "ada@example.test", "username": "ada-77"}
    assert newcomer.submit(GOOD, traits=traits).status == 200
    assert newcomer.codes() == set()
    identity_id = uuid4()
    done = newcomer.hook("completed", identity_id=str(identity_id), verified=True)
    assert done.status_code == 204

    later = Person(edge, kratos, hooks, identity_id)
    assert later.change(GOOD) == {"password_reused"}
    assert later.change(GOOD + "2") == set()


def test_a_password_that_was_never_stored_is_not_remembered(person, services, member):
    person.submit(GOOD)
    assert person.codes() == set()
    assert digests(services, member) == ()
    assert person.change(GOOD) == set()


def test_the_secret_is_in_the_digest_and_the_password_is_nowhere(person, services, member):
    person.change(GOOD)
    with services.transaction() as session:
        history = passwords.history(session, member)
    plain = argon2.low_level.hash_secret_raw(
        GOOD.encode(), history.salt, 2, 19_456, 1, 32, argon2.low_level.Type.ID
    )
    assert history.digests[0] not in (plain, hashlib.sha256(GOOD.encode()).digest())


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda person: {"attempt": ""}, id="none"),
        pytest.param(lambda person: {"attempt": "x"}, id="garbage"),
        pytest.param(lambda person: {"attempt": str(uuid4())}, id="unknown"),
        pytest.param(lambda person: {"flow_id": str(uuid4())}, id="another-flow"),
    ],
)
def test_without_a_verdict_of_its_own_a_password_is_refused(person, spoil):
    person.submit(GOOD)
    assert person.codes(**spoil(person)) == {"password_unchecked"}


def test_the_verdict_of_somebody_else_does_not_count(person):
    person.submit(GOOD)
    nobody = str(uuid4())
    assert person.codes(identity_id=nobody) == {"password_unchecked", "account_not_ready"}


def test_an_old_verdict_does_not_count(person, database_url):
    person.submit(GOOD)
    with psycopg.connect(database_url) as connection:
        connection.execute("update password_attempts set created_at = now() - interval '3 minutes'")
    assert person.codes() == {"password_unchecked"}


def test_a_refused_password_goes_no_further_than_the_edge(person, newcomer, kratos, edge):
    person.submit("Password1!")
    assert b"Password1!" not in kratos.submitted()["body"]
    assert person.codes() == {"password_common"}

    body = b"method=password&password=Password1%21&traits.email=a%2Bb%40example.test&csrf_token=%2B"
    ask(edge, "POST", f"/self-service/registration?flow={uuid4()}", headers=FORM, body=body)
    sent = parse_qs(kratos.submitted()["body"].decode())
    assert sent.pop("password") != ["Password1!"]
    assert sent == {
        "method": ["password"],
        "traits.email": ["a+b@example.test"],
        "csrf_token": ["+"],
    }


def test_what_is_accepted_goes_on_byte_for_byte_and_the_id_never_comes_back(newcomer, kratos):
    answer = newcomer.submit(GOOD, traits={"email": "ada@example.test", "username": "x-1"})
    sent = json.loads(kratos.submitted()["body"])
    assert sent["password"] == GOOD
    assert len(kratos.attempt()) == 32
    assert b"kleis_attempt" not in answer.body
    assert b"request_url" in answer.body


def test_a_password_that_has_no_utf_8_is_refused_here(newcomer):
    assert newcomer.submit("Correct-Horse-1\ud800").status == 400


def test_a_change_is_recorded_once_with_everything_that_follows(person, services, rung):
    person.submit(GOOD)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: person.hook("completed"), range(4)))
    assert {answer.status_code for answer in answers} == {204}

    [(_, payload, _)] = [each for each in effects_of(services, "mail") if "facts" in each[1]]
    assert payload["template"] == "password_changed"
    assert payload["facts"]["address"] == "127.0.0.1"
    [(kind, payload, row)] = effects_of(services, "sessions")
    assert kind == "end_older_sessions"
    assert payload == {"before": services.now().isoformat()}
    assert row.id == UUID(person.kratos.attempt())
    # It waits for the answer: nobody rings for it.
    assert row.due_at == services.now() + timedelta(seconds=1)
    assert row.id not in rung


def test_everything_about_passwords_goes_with_the_member(person, services, member):
    person.change(GOOD)
    person.submit(GOOD + "2")
    late = person.kratos.attempt()
    with services.transaction() as session:
        lifecycle.transition(
            session, member, Trigger.ADMIN_DELETION, actor=Actor.ADMIN, now=services.now()
        )
    assert digests(services, member) == ()
    assert person.hook("completed", attempt=late).status_code == 204
    person.submit(GOOD + "3")
    assert digests(services, member) == ()


def test_verdicts_that_came_to_nothing_are_swept(person, services, clock, database_url):
    person.submit(GOOD)
    clock.advance(timedelta(hours=2))
    sweeps.forget_the_past(services)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from password_attempts").fetchone() == (0,)


def test_two_first_changes_at_once_share_one_salt(edge, kratos, hooks, member, services):
    people = [Person(edge, kratos, hooks, member) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.submit(f"{GOOD}{one.flow_id}"[:40]), people))
    with psycopg.connect(services.settings.database_url.get_secret_value()) as connection:
        [row] = connection.execute(
            "select count(distinct salt), count(*) from password_attempts where digest is not null"
        ).fetchall()
    assert row == (1, 4)


def test_with_the_database_gone_no_password_goes_on(kratos):
    with edge_running(settings_for(kratos.port)) as port:
        before = len(kratos.seen)
        answer = ask(
            port,
            "POST",
            f"/self-service/registration?flow={uuid4()}",
            headers=JSON,
            body=json.dumps({"method": "password", "password": GOOD, "traits": {}}).encode(),
        )
    assert answer.status == 503
    assert not any(GOOD.encode() in seen["body"] for seen in kratos.seen[before:])


@pytest.fixture(scope="module")
def nist_edge(kratos, database_url, valkey_url) -> Iterator[int]:
    changes = {"database_url": database_url, "valkey_url": valkey_url, "forward_timeout": "PT5S"}
    with edge_running(settings_for(kratos.port, password_profile="nist", **changes)) as port:
        yield port


@pytest.fixture
def careful(nist_edge, kratos, hooks, member) -> Person:
    """A member where the profile `nist` holds."""
    return Person(nist_edge, kratos, hooks, member)


@pytest.mark.parametrize(
    ("password", "refused"),
    [
        ("velvet otter climbs teapots", set()),
        ("aaaaaaaaaaaaaaaaaaaa", {"password_guessable"}),
        ("velvet otter", {"password_too_short"}),
        ("my ada-77 is in velvet teapots", {"password_personal"}),
    ],
)
def test_the_profile_nist_asks_for_strength(careful, password, refused):
    assert careful.change(password) == refused


def test_with_a_second_factor_the_profile_nist_takes_shorter_ones(careful):
    assert careful.change("xq7velvet") == {"password_too_short"}
    careful.kratos.second_factors.add(str(careful.identity_id))
    assert careful.change("xq7velvet-o") == set()
