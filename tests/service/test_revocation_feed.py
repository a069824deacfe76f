"""The list of void sessions: whole, quick, and cheap to wait for."""

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import text

from integration.db import epochs, member_sessions
from integration.db import sessions as connections
from integration.members import lifecycle, password_changes, sessions
from integration.service import make_api
from policies.lifecycle import Actor, Trigger
from tests.private_stack import free_ports
from tests.token_stage import ring_of, somebody

PATH = "/api/tokens/revocations"


@contextmanager
def serving(app):
    """The API as a process of its own would have it: one event loop, a pool of threads."""
    [port] = free_ports(1)
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def two(services):
    """Two processes' worth of the API on one database."""
    with serving(make_api(services)) as first, serving(make_api(services)) as second:
        yield first, second


@pytest.fixture
def ada(services):
    return somebody(services, ring_of(services))


def log_out(services, who):
    with services.transaction() as session:
        sessions.end(session, who.identity_id, who.session_id, reason="logout", now=services.now())


def ids(body):
    return {entry["sid"] for entry in body["revoked"]}


async def waiting(client, url, version):
    headers = {"If-None-Match": f'"{version}"'}
    return await client.get(url + PATH, params={"wait": 25}, headers=headers, timeout=60)


def test_a_logout_is_listed_until_its_last_token_has_expired(services, api, clock, ada):
    version = api.get(PATH).json()["version"]
    log_out(services, ada)
    answer = wait_for(api, version)
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    [entry] = answer.json()["revoked"]
    assert entry["sid"] == str(ada.session_id)
    last = services.now() + timedelta(minutes=15)
    until = datetime.fromisoformat(entry["until"])
    assert last < until <= last + timedelta(minutes=2)
    clock.advance(timedelta(minutes=14, seconds=59))
    assert ids(api.get(PATH).json()) == {str(ada.session_id)}
    version = api.get(PATH).json()["version"]
    clock.advance(timedelta(minutes=2))
    assert ids(wait_for(api, version).json()) == set()


def wait_for(api, version):
    headers = {"If-None-Match": f'"{version}"'}
    answer = api.get(PATH, params={"wait": 25}, headers=headers)
    assert answer.status_code == 200
    return answer


def test_who_has_the_list_is_told_that_nothing_changed(api):
    answer = api.get(PATH)
    again = api.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    weak = {"If-None-Match": "W/" + answer.headers["etag"]}
    assert api.get(PATH, headers=weak, params={"wait": 1}).status_code == 304


@pytest.mark.parametrize("wait", ["26", "-1", "x", "1e9", "9" * 5000])
def test_nobody_waits_longer_than_that(api, wait):
    assert api.get(PATH, params={"wait": wait}).status_code == 422


def end_of(kind):
    def suspend(session, services, who):
        lifecycle.transition(
            session,
            who.identity_id,
            Trigger.POLICY_VIOLATION,
            actor=Actor.MODERATOR,
            now=services.now(),
        )

    def change_password(session, services, who):
        later = services.now() + timedelta(seconds=1)
        password_changes.record(session, who.identity_id, None, now=later)

    def hold(session, services, who):
        row = member_sessions.get(session, who.session_id)
        row.hold, row.hold_since = "new_country", services.now()
        epochs.move(session, who.identity_id)

    return {"suspend": suspend, "password": change_password, "hold": hold}[kind]


@pytest.mark.parametrize("kind", ["suspend", "password", "hold"])
def test_every_ending_reaches_who_waits_at_every_process(services, two, ada, kind):
    async def run():
        async with httpx.AsyncClient() as client:
            before = [(await client.get(url + PATH)).json()["version"] for url in two]
            waits = [
                asyncio.create_task(waiting(client, url, version))
                for url, version in zip(two, before, strict=True)
            ]
            await asyncio.sleep(0)
            with services.transaction() as session:
                end_of(kind)(session, services, ada)
            # Whoever was not woken would be told after its time that nothing has changed.
            for answer in await asyncio.gather(*waits):
                assert answer.status_code == 200
                assert ids(answer.json()) == {str(ada.session_id)}

    asyncio.run(run())


def test_two_hundred_that_wait_hold_neither_threads_nor_connections(services, ada):
    """The pool of threads has 40, that of connections 8."""
    app = make_api(services)

    async def run(url):
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            version = (await client.get(url + PATH)).json()["version"]
            waits = [asyncio.create_task(waiting(client, url, version)) for _ in range(200)]
            while len(app.state.revocation_feed._waiting) < 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            me = await client.get(url + "/api/me", headers=ada.bearer)
            assert me.status_code == 200
            assert services.engine.pool.checkedout() <= 2
            log_out(services, ada)
            for answer in await asyncio.gather(*waits):
                assert ids(answer.json()) == {str(ada.session_id)}

    with serving(app) as url:
        asyncio.run(run(url))


def test_a_session_that_never_had_tokens_is_not_listed(services, api, ada):
    """What the list costs follows from who uses tokens."""
    with services.transaction() as session:
        session.execute(text("delete from token_families"))
    log_out(services, ada)
    assert ids(api.get(PATH).json()) == set()


def test_a_list_that_nobody_can_vouch_for_is_not_given(services):
    away = connections.make_engine(
        "postgresql://kleis:wrong@127.0.0.1:1/kleis", timeout=timedelta(seconds=1)
    )
    factory = connections.make_session_factory(away)
    with TestClient(make_api(replace(services, session_factory=factory))) as client:
        answer = client.get(PATH)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:kleis:problem:revocations_unknown"
