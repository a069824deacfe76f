"""`POST /api/me/password`: the specification's password workflow, step by step."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest

from tests.system.test_passwords import Client, fresh, undone

KINDS = ("native", "browser")


@pytest.fixture
def clients(stack: Any) -> Iterator[Callable[[str], Client]]:
    with ExitStack() as everybody:

        def make(form: str) -> Client:
            made = Client(stack, form)
            everybody.enter_context(made.http)
            return made

        yield make


def change(client: Client, current: str, new: str) -> httpx.Response:
    return client.http.post("/api/me/password", json={"current": current, "new": new})


def type_of(answer: httpx.Response) -> str:
    return answer.json()["type"].rpartition(":")[2]


def codes_of(answer: httpx.Response) -> set[str]:
    assert {error["pointer"] for error in answer.json()["errors"]} == {"#/new"}
    return {error["code"] for error in answer.json()["errors"]}


def attempts(stack: Any, person: Any) -> list[str]:
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute(
            "select outcome from login_attempts where identity_id = %s order by at, id",
            (person.identity_id,),
        )
        return [row[0] for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_the_workflow_of_the_specification_step_by_step(kind, member, clients, eventually):
    client, other = clients(kind), clients("native")
    assert client.log_in(member).status_code == other.log_in(member).status_code == 200
    old, new = member.password, fresh()

    # Verify Current Password -> Authentication Failed
    answer = change(client, "Wrong-Horse-77", new)
    assert (answer.status_code, type_of(answer)) == (403, "current_password_wrong")
    eventually(lambda: "wrong_credentials" in attempts(member.stack, member))

    # Password Strength OK? -> Strength Requirements Error
    answer = change(client, old, "short")
    assert answer.status_code == 422
    assert codes_of(answer) == {
        "password_too_short",
        "password_without_upper",
        "password_without_digit",
        "password_without_special",
    }

    # Previously Used? -> Password Reuse Error
    answer = change(client, old, old)
    assert (answer.status_code, type_of(answer)) == (422, "password_reused")
    assert codes_of(answer) == {"password_reused"}
    assert client.is_logged_in()
    assert other.is_logged_in()

    # Hash New Password, Update Database
    answer = change(client, old, new)
    assert (answer.status_code, answer.json()) == (200, {"reauthentication_required": True})
    assert old not in answer.text + new

    # Invalidate All Sessions
    assert not other.is_logged_in()
    eventually(lambda: not client.is_logged_in(), seconds=1)

    # Send Security Notification
    mail = eventually(lambda: [m for m in member.mails() if "was changed" in m["subject"]])[0]
    assert "at the address 127.0.0.1" in mail["text"]

    # Require Re-authentication
    assert client.http.get("/api/me").status_code == 401
    assert clients("native").log_in(member).status_code == 400
    member.password = new
    again = clients("native")
    assert again.log_in(member).status_code == 200
    eventually(lambda: undone(member.stack, member) == 0)
    assert again.is_logged_in()
    [event] = again.http.get("/api/me/security-events").json()["items"]
    assert event["kind"] == "password_changed"


def test_guesses_at_the_current_password_are_limited_like_those_at_the_door(member, clients):
    client = clients("native")
    client.log_in(member)
    answers = [change(client, f"Wrong-Horse-{secrets.token_hex(3)}", fresh()) for _ in range(7)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 403
    assert limited
    assert type_of(limited[-1]) == "too_many_attempts"
    assert int(limited[-1].headers["retry-after"]) > 0
    # Not even the right one, for now.
    assert change(client, member.password, fresh()).status_code == 429


def test_a_session_from_long_ago_needs_nothing_but_the_password(member, clients):
    client = clients("native")
    client.log_in(member)
    with psycopg.connect(member.stack.kratos_database_url) as connection:
        connection.execute(
            "update sessions set authenticated_at = authenticated_at - interval '1 day'"
            " where identity_id = %s",
            (member.identity_id,),
        )
    assert change(client, member.password, fresh()).status_code == 200


def test_nobody_without_a_session_changes_a_password(member, clients):
    answer = change(clients("native"), member.password, fresh())
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"current": "", "new": "x"},
        {"current": "x", "new": 7},
        {"current": "x", "new": "x" * 1025},
    ],
)
def test_what_is_no_password_is_refused_without_being_repeated(member, clients, body):
    client = clients("native")
    client.log_in(member)
    answer = client.http.post("/api/me/password", json=body)
    assert answer.status_code == 422
    assert "x" * 1025 not in answer.text


def test_only_the_service_speaks_for_other_addresses(member, clients, eventually):
    """Whoever makes the header up is counted by the own address."""
    client = clients("native")
    client.http.headers["x-kleis-on-behalf"] = f"203.0.113.9;{int(time.time())};{'0' * 64}"
    client.log_in(member)
    with psycopg.connect(member.stack.database_url) as connection:
        query = "select host(address) from login_attempts where identity_id = %s"
        row = eventually(lambda: connection.execute(query, (member.identity_id,)).fetchone())
    assert row[0] == "127.0.0.1"
