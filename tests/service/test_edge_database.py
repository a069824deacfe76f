"""What the edge asks PostgreSQL: keys, member states, locks, and what it writes down."""

import hashlib
import http.client
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from integration import effects
from integration.db import locks
from tests.edge_postgres import Server
from tests.edge_stage import (
    CREATED,
    PATIENCE,
    Upstream,
    ask,
    edge_running,
    settings_for,
    upstream_running,
)

JSON = {"Content-Type": "application/json"}
TUPLE = '{"namespace": "Content", "object": "a", "relation": "%s", "subject_id": "b"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("edge") / "home")
    yield running
    running.stop()


@pytest.fixture
def database(server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_running() as running:
        yield running


@pytest.fixture(scope="module")
def edge(upstream, server) -> Iterator[int]:
    settings = settings_for(
        upstream.port,
        database_url=server.url,
        database_timeout="PT1S",
        upstream_timeout="PT1S",
        forward_timeout="PT5S",
    )
    with edge_running(settings) as port:
        yield port


def new_key(database, *scopes: str, expires_in: timedelta | None = None, revoked=False) -> dict:
    key_id = secrets.token_hex(8)
    token = f"kleis_{key_id}_{secrets.token_urlsafe(32)}"
    now = datetime.now(UTC)
    database.execute(
        "insert into api_keys (id, sha256, name, scopes, created_at, expires_at, revoked_at)"
        " values (%s, %s, 'test', %s, %s, %s, %s)",
        (
            key_id,
            hashlib.sha256(token.encode()).digest(),
            list(scopes),
            now,
            now + expires_in if expires_in is not None else None,
            now if revoked else None,
        ),
    )
    return {"Authorization": f"Bearer {token}"}


def new_member(database, status: str) -> dict:
    identity_id = uuid4()
    database.execute(
        "insert into members (identity_id, status, role, status_changed_at, registered_at)"
        " values (%s, %s, 'user', now(), now())",
        (identity_id, status),
    )
    return {"X-Session-Token": str(identity_id)}


# Keys


def test_a_key_opens_what_its_scopes_permit_and_ends_at_the_edge(edge, upstream, database):
    key = new_key(database, "identities:read")

    assert ask(edge, "GET", "/admin/identities", headers=key).status == 200
    assert "authorization" not in dict(upstream.seen[-1]["headers"])


@pytest.mark.parametrize(
    ("scopes", "method", "target"),
    [
        (["identities:read"], "POST", "/admin/identities"),
        (["identities:read"], "DELETE", f"/admin/identities/{CREATED}"),
        (["identities:write"], "GET", "/relation-tuples?namespace=Content"),
        (["permissions:read"], "PUT", "/admin/relation-tuples"),
        (["permissions:write"], "GET", "/admin/identities"),
        (["roles:write", "operations:write"], "GET", "/admin/courier/messages"),
        ([], "GET", "/namespaces"),
    ],
)
def test_a_key_of_another_scope_is_refused(edge, database, scopes, method, target):
    answer = ask(edge, method, target, headers=new_key(database, *scopes))

    assert answer.status == 403
    assert answer.json()["type"] == "urn:kleis:problem:scope_missing"


def test_an_expired_revoked_or_altered_key_is_refused(edge, database):
    expired = new_key(database, "identities:read", expires_in=timedelta(seconds=-1))
    revoked = new_key(database, "identities:read", revoked=True)
    altered = new_key(database, "identities:read")
    last = altered["Authorization"][-1]
    altered["Authorization"] = altered["Authorization"][:-1] + ("a" if last != "a" else "b")

    for key in (expired, revoked, altered):
        answer = ask(edge, "GET", "/admin/identities", headers=key)
        assert answer.status == 401
        assert answer.json()["type"] == "urn:kleis:problem:api_key_refused"


def test_a_revoked_key_stops_working_within_a_second(edge, database):
    key = new_key(database, "identities:read")
    assert ask(edge, "GET", "/admin/identities", headers=key).status == 200

    database.execute("update api_keys set revoked_at = now()")

    until(lambda: ask(edge, "GET", "/admin/identities", headers=key).status == 401, seconds=1)


# Member states


@pytest.mark.parametrize("status", ["suspended", "banned", "deleted", "pending_verification"])
def test_a_session_of_a_member_who_is_not_active_is_none(edge, database, status):
    assert ask(edge, "GET", "/sessions/whoami", headers=new_member(database, status)).status == 401


def test_a_session_of_nobody_we_know_is_none(edge):
    answer = ask(edge, "GET", "/sessions/whoami", headers={"X-Session-Token": str(uuid4())})

    assert answer.status == 401
    assert answer.json()["error"]["message"] == "The request could not be authorized"
    assert answer.header("x-kratos-authenticated-identity-id") is None


def test_an_active_member_has_its_session(edge, database):
    member = new_member(database, "active")
    answer = ask(edge, "GET", "/sessions/whoami", headers=member)

    assert answer.status == 200
    assert answer.json()["identity"]["id"] == member["X-Session-Token"]


# Locks


@contextmanager
def locked(database, identity_id) -> Iterator[None]:
    key, name = locks.KEY.replace(":name", "%s::text"), f"identity:{identity_id}"
    database.execute(f"select pg_advisory_lock({key})", (name,))
    yield
    database.execute(f"select pg_advisory_unlock({key})", (name,))


def test_one_writer_to_an_identity_at_a_time(edge, upstream, database):
    member = new_member(database, "active")
    key = new_key(database, "identities:write")
    before = len([item for item in upstream.seen if item["method"] != "GET"])

    with locked(database, member["X-Session-Token"]):
        target = f"/admin/identities/{member['X-Session-Token']}"
        by_admin = ask(edge, "DELETE", target, headers=key)
        by_member = ask(edge, "POST", "/self-service/settings", headers=member | JSON, body=b"{}")

    for answer in (by_admin, by_member):
        assert answer.status == 503
        assert answer.json()["type"] == "urn:kleis:problem:busy"
        assert answer.header("retry-after") == "1"
    assert len([item for item in upstream.seen if item["method"] != "GET"]) == before


def locks_held(database) -> int:
    return count_locks(database, "granted")


def count_locks(database, which: str) -> int:
    counted = f"select count(*) from pg_locks where locktype = 'advisory' and {which}"
    return database.execute(counted).fetchone()[0]


def until(happened: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Wait for something; it is late by what was asked after that time, not by a slow answer."""
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.monotonic()
        if happened():
            return
        assert asked_at < deadline
        time.sleep(0.01)


def test_a_lock_is_held_while_kratos_is_asked_and_freed_after(edge, upstream, database):
    upstream.may_answer_settings.clear()
    member = new_member(database, "active")
    answers = []

    def submit() -> None:
        answers.append(
            ask(edge, "POST", "/self-service/settings", headers=member | JSON, body=b"{}")
        )

    thread = threading.Thread(target=submit)
    thread.start()
    until(lambda: locks_held(database) == 1)
    assert not answers
    upstream.may_answer_settings.set()
    thread.join()

    assert answers[0].status == 200
    assert locks_held(database) == 0


def test_one_busy_identity_takes_no_connection_from_the_others(upstream, server, database):
    """Each submit that waits for the same lock would else hold one of sixteen."""
    # All of them wait for longer than the other one's answer is waited for.
    patient = {"database_timeout": "PT50S", "forward_timeout": "PT50S"}
    settings = settings_for(upstream.port, database_url=server.url, **patient)
    with edge_running(settings) as edge:
        _one_busy_identity(edge, database)


def _one_busy_identity(edge, database) -> None:
    busy, other = new_member(database, "active"), new_member(database, "active")
    settings = "/self-service/settings"
    waiting = [
        threading.Thread(
            target=ask,
            args=(edge, "POST", settings),
            kwargs={"headers": busy | JSON, "body": b"{}"},
        )
        for _ in range(24)
    ]

    with locked(database, busy["X-Session-Token"]):
        for thread in waiting:
            thread.start()
        until(lambda: count_locks(database, "not granted") > 0)
        answer = ask(edge, "POST", settings, headers=other | JSON, body=b"{}")
    for thread in waiting:
        thread.join()

    assert answer.status == 200


def test_a_client_that_leaves_neither_frees_the_lock_early_nor_hides_the_outcome(
    edge, upstream, database
):
    member = new_member(database, "active")
    flow_id = uuid4()
    upstream.may_answer_settings.clear()

    for target in ("/self-service/settings", f"/self-service/registration?flow={flow_id}"):
        before = len(upstream.seen)
        connection = http.client.HTTPConnection("127.0.0.1", edge)
        connection.request("POST", target, body=b"{}", headers=member | JSON)
        until(lambda: any(one["method"] == "POST" for one in upstream.seen[before:]))  # noqa: B023
        connection.close()
    known = "select state from flows where flow_id = %s"
    until(lambda: database.execute(known, (flow_id,)).fetchone() == ("failed",))
    assert locks_held(database) == 1
    upstream.may_answer_settings.set()
    until(lambda: locks_held(database) == 0)


def test_a_settings_submit_without_a_session_needs_no_lock(edge):
    answer = ask(edge, "POST", "/self-service/settings?flow=x", headers=JSON, body=b"{}")

    assert answer.status == 200


# What is written down


def test_an_admin_write_asks_for_reconciliation(edge, database):
    key = new_key(database, "identities:write")
    database.execute("delete from outbox")

    answer = ask(edge, "POST", "/admin/identities", headers=key | JSON, body=b"{}")

    assert answer.status == 201
    rows = database.execute("select identity_id, lane, kind from outbox").fetchall()
    assert rows == [(CREATED, effects.RECONCILE_LANE, effects.RECONCILE)]


def test_reading_asks_for_none(edge, database):
    database.execute("delete from outbox")

    ask(edge, "GET", "/admin/identities", headers=new_key(database, "identities:write"))

    assert database.execute("select count(*) from outbox").fetchone() == (0,)


def test_a_refused_registration_is_recorded_with_its_step(edge, database):
    flow_id = uuid4()

    answer = ask(
        edge, "POST", f"/self-service/registration?flow={flow_id}", headers=JSON, body=b"{}"
    )

    assert answer.status == 400
    row = database.execute(
        "select kind, state, error, steps from flows where flow_id = %s", (flow_id,)
    ).fetchone()
    assert row[:3] == (
        "registration",
        "failed",
        {"step": "uniqueness_check", "code": "kratos_4000007"},
    )
    assert [step["state"] for step in row[3]][:3] == ["completed", "failed", "pending"]


# Permissions


def test_a_batch_is_answered_in_order_and_only_a_clear_yes_is_one(edge, upstream, database):
    key = new_key(database, "permissions:read")
    relations = ["view", "edit", "view", "broken", "slow"]
    tuples = ", ".join(TUPLE % relation for relation in relations)
    body = f'{{"tuples": [{tuples}]}}'
    before = len(upstream.seen)

    answer = ask(edge, "POST", "/relation-tuples/batch/check", headers=key, body=body.encode())

    results = answer.json()["results"]
    assert [result["allowed"] for result in results] == [True, False, True, False, False]
    assert ["error" in result for result in results] == [False, False, False, True, True]
    assert len(upstream.seen) - before == 4


def test_ketos_odd_answers_are_straightened(edge, upstream, database):
    key = new_key(database, "permissions:read")

    assert ask(edge, "GET", "/relation-tuples", headers=key).status == 400
    ask(edge, "GET", "/relation-tuples?namespace=Content&page_size=9999", headers=key)
    assert upstream.seen[-1]["target"] == "/relation-tuples?namespace=Content&page_size=500"
    target = "/relation-tuples?namespace=Content&page_token=rubbish"
    assert ask(edge, "GET", target, headers=key).status == 400
    assert ask(edge, "GET", "/relation-tuples/expand?namespace=x", headers=key).status == 404


# PostgreSQL goes away and comes back (last: it ends every connection)


def test_the_edge_finds_postgresql_again(edge, server, database):
    member = new_member(database, "active")
    key = new_key(database, "identities:write")
    assert ask(edge, "GET", "/sessions/whoami", headers=member).status == 200
    server.kill()

    # What is remembered counts as long as the edge may have missed nothing: a second.
    until(lambda: ask(edge, "GET", "/sessions/whoami", headers=member).status == 503, seconds=2)
    assert ask(edge, "GET", "/login").status == 200
    server.start()
    until(lambda: ask(edge, "GET", "/sessions/whoami", headers=member).status == 200)

    target = f"/admin/identities/{member['X-Session-Token']}"
    assert ask(edge, "DELETE", target, headers=key).status == 200
