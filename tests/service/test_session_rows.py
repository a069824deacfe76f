"""Sessions are written down as they begin and end, whatever is down meanwhile."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from integration.edge.sessions.rows import Beginning, SessionRows
from integration.ory.kratos import Kratos
from integration.services import make_services
from integration.tasks.deliver import deliver
from tests.edge_postgres import Server
from tests.edge_stage import PATIENCE, ask, edge_running, settings_for, upstream_running
from tests.session_upstream import Sessions, new_member, session_id

CALLBACK = "/self-service/methods/oidc/callback/generic"
LOGOUT = "/self-service/logout/api"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("rows") / "home")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def kratos() -> Iterator[Sessions]:
    with upstream_running(Sessions()) as running:
        yield running


@pytest.fixture(scope="module")
def edge(server, kratos) -> Iterator[int]:
    settings = settings_for(
        kratos.port, database_url=server.url, database_timeout="PT1S", forward_timeout="PT10S"
    )
    with edge_running(settings) as port:
        yield port


@pytest.fixture
def member(server) -> str:
    return new_member(server)


def row(server: Server, member: str) -> dict[str, Any] | None:
    with psycopg.connect(server.url, row_factory=psycopg.rows.dict_row) as connection:
        statement = "select * from member_sessions where session_id = %s"
        return connection.execute(statement, (session_id(member),)).fetchone()


def within(seconds: float, probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def by_provider(kratos: Sessions, member: str) -> None:
    kratos.changed[member] = {
        "authentication_methods": [{"method": "oidc", "aal": "aal1", "provider": "generic"}]
    }


def test_a_login_by_a_provider_is_written_down(edge, kratos, member, server):
    by_provider(kratos, member)
    answer = ask(
        edge,
        "GET",
        f"{CALLBACK}?state={member}&code=x",
        headers={"Accept": "text/html", "Cookie": "csrf_token_x=1"},
    )

    assert answer.status == 303
    written = row(server, member)
    assert (written["methods"], written["aal"]) == (["oidc"], "aal1")
    assert written["device_id"] is not None


def test_a_session_that_an_app_fetches_is_written_down(edge, kratos, member, server):
    by_provider(kratos, member)
    target = f"/sessions/token-exchange?init_code={member}&return_to_code=x"

    answer = ask(edge, "GET", target, headers={"Accept": "application/json"})

    assert answer.json()["session_token"] == member
    written = row(server, member)
    assert (written["methods"], written["device_id"]) == (["oidc"], None)


def test_a_session_that_nobody_saw_begin_is_written_down_at_its_first_use(
    edge, kratos, member, server
):
    assert row(server, member) is None

    assert ask(edge, "GET", "/sessions/whoami", headers={"X-Session-Token": member}).status == 200

    assert row(server, member)["methods"] == ["password"]


def test_a_logout_that_cannot_be_written_is_not_confirmed_and_written_later(
    edge, kratos, member, server
):
    token = {"X-Session-Token": member}
    assert ask(edge, "GET", "/sessions/whoami", headers=token).status == 200
    server.pause()
    try:
        body = json.dumps({"session_token": member}).encode()
        answer = ask(edge, "DELETE", LOGOUT, headers=JSON, body=body)
        checked = ask(edge, "GET", "/sessions/whoami", headers=token)
    finally:
        server.go_on()

    assert answer.status == 503
    # Kratos ended it: nobody is told otherwise from memory.
    assert checked.status == 401
    assert within(PATIENCE, lambda: row(server, member)["end_reason"]) == "logout"


def log_out(edge: int, member: str) -> int:
    body = json.dumps({"session_token": member}).encode()
    return ask(edge, "DELETE", LOGOUT, headers=JSON, body=body).status


def was_asked_to_log_out(kratos: Sessions, member: str) -> bool:
    return any(member.encode() in seen["body"] for seen in kratos.seen if LOGOUT in seen["target"])


@pytest.fixture
def broken(kratos) -> Iterator[Sessions]:
    """Kratos, whose faults are gone after the test."""
    yield kratos
    kratos.broken = kratos.denies = kratos.loses_answers = False


@pytest.mark.parametrize("fault", ["broken", "denies"])
def test_while_kratos_cannot_say_whose_session_it_is_nothing_is_ended(
    edge, broken, member, server, fault
):
    """Else it would end there and live on with us, refresh tokens and all. It says 401 too when
    its database fails, and may end the session a moment later."""
    assert _is_good(edge, member)
    setattr(broken, fault, True)
    assert log_out(edge, member) == 503
    assert not was_asked_to_log_out(broken, member)
    setattr(broken, fault, False)
    assert log_out(edge, member) == 204
    assert row(server, member)["end_reason"] == "logout"


def test_a_logout_whose_answer_gets_lost_has_ended_with_us_too(edge, broken, member, server):
    assert _is_good(edge, member)
    broken.loses_answers = True
    assert log_out(edge, member) >= 500
    assert row(server, member)["end_reason"] == "logout"


def test_what_an_edge_that_died_left_undone_a_worker_does(edge, kratos, member, server):
    """Kratos has ended it; whoever was to write that down is gone."""
    another = new_member(server)
    for each in (member, another):
        assert _is_good(edge, each)
        assert log_out(edge, each) == 204
    settings = settings_for(kratos.port, database_url=server.url)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("update member_sessions set ended_at = null, end_reason = ''")
        effects = connection.execute(
            "select id, identity_id, due_at > now() + interval '1 minute' from outbox"
            " where kind = 'follow_sessions' and done_at is null"
        ).fetchall()
    kratos.changed[another] = {}  # this one lives on at Kratos
    followed = [effect for effect, identity, _ in effects if str(identity) in (member, another)]
    assert all(is_late for _, _, is_late in effects)
    with httpx.Client(base_url=str(settings.kratos_admin_url)) as client:
        made = make_services(settings)
        services = replace(made, kratos=Kratos(admin=client, public=client))
        assert [deliver(services, effect) for effect in followed] == [True, True]
        services.close()
    assert row(server, member)["end_reason"] == "logout"
    assert row(server, another)["ended_at"] is None


def test_a_login_does_not_wait_for_postgresql(edge, kratos, member, server):
    by_provider(kratos, member)
    target = f"/sessions/token-exchange?init_code={member}&return_to_code=x"
    server.pause()
    try:
        answer = ask(edge, "GET", target, headers={"Accept": "application/json"})
    finally:
        server.go_on()

    assert answer.status == 200
    within(PATIENCE, lambda: _is_good(edge, member))
    assert row(server, member)["methods"] == ["oidc"]


def _is_good(edge: int, member: str) -> bool:
    answer = ask(edge, "GET", "/sessions/whoami", headers={"X-Session-Token": member})
    return answer.status == 200


class InTransaction:
    """Runs an edge's statements in a transaction that is still open."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall()


def test_the_row_of_a_login_does_not_wait_for_the_disk_and_nothing_else_does_so(member, server):
    now = datetime.now(UTC)
    new = Beginning(
        session_id=uuid4(),
        identity_id=UUID(member),
        authenticated_at=now,
        expires_at=now + timedelta(days=7),
        methods=("password",),
        aal="aal1",
        device_id=None,
        address="192.0.2.1",
        user_agent="",
        country="",
        hold=None,
        releases=False,
    )

    async def waits_for_the_disk() -> list[str]:
        shown = []
        async with await psycopg.AsyncConnection.connect(server.url) as connection:
            async with connection.transaction():
                await SessionRows(InTransaction(connection)).begin(new)
                shown += await InTransaction(connection).rows("SHOW synchronous_commit", ())
            shown += await InTransaction(connection).rows("SHOW synchronous_commit", ())
        return [row[0] for row in shown]

    assert asyncio.run(waits_for_the_disk()) == ["off", "on"]
