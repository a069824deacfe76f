"""Which credential opens what, on real Kratos: access tokens alone, and several at once."""

import secrets
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.session_clients import WHOAMI, Native, Spa, rows
from tests.system.conftest import eventually

PROBLEM = "urn:kleis:problem:"
NOBODY = str(uuid4())


def active(somebody: Any) -> Any:
    somebody.register()
    somebody.verify()
    return somebody


@pytest.fixture
def ada(people, clients) -> Native:
    app = clients(Native, active(people()))
    assert app.log_in().status_code == 200
    return app


@pytest.fixture
def eve(people, clients) -> Native:
    app = clients(Native, active(people()))
    assert app.log_in().status_code == 200
    return app


def bearer(app: Native) -> dict[str, str]:
    answer = app.ask("POST", "/api/tokens")
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def code_of(answer: httpx.Response) -> str:
    if answer.is_success:
        return ""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix(PROBLEM)


def new_email() -> str:
    return f"{secrets.token_hex(4)}@example.test"


# What an access token alone gets of everything below `/api/me`.
ALONE: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/api/me", None, 200, ""),
    ("GET", "/api/me/email", None, 200, ""),
    ("POST", "/api/me/email", {"email": new_email()}, 202, ""),
    ("DELETE", "/api/me/email", None, 204, ""),
    ("POST", "/api/me/email/confirm", {"code": "000000"}, 422, "code_not_sent"),
    ("POST", "/api/me/email/revert", {"ticket": "x"}, 404, "not_found"),
    ("POST", "/api/me/password", {"current": "a", "new": "b"}, 403, "session_required"),
    ("GET", "/api/me/second-factor", None, 200, ""),
    ("PUT", "/api/me/second-factor", {"required": False}, 200, ""),
    ("GET", "/api/me/security-events", None, 200, ""),
    ("GET", "/api/me/sessions", None, 200, ""),
    ("DELETE", "/api/me/sessions", None, 200, ""),
    ("DELETE", "/api/me/sessions/{session_id}", None, 404, "not_found"),
    ("GET", "/api/me/elevations", None, 200, ""),
    (
        "POST",
        "/api/me/elevations",
        {"permission": "content.publish", "duration": "PT10M", "reason": "a test"},
        201,
        "",
    ),
    ("DELETE", "/api/me/elevations/{elevation_id}", None, 404, "elevation_unknown"),
    ("GET", "/api/me/appeals", None, 200, ""),
    ("POST", "/api/me/appeals", {"ticket": "x", "statement": "a test"}, 403, "ticket_refused"),
    ("POST", "/api/me/deactivation", {}, 204, ""),  # it ends every session: the last of all
]


def test_everything_of_the_members_own_has_a_clear_answer_for_an_access_token_alone(stack, ada):
    alone, found = bearer(ada), []
    for method, path, body, _, _ in ALONE:
        address = path.format(session_id=NOBODY, elevation_id=NOBODY)
        answer = httpx.request(
            method, stack.edge_url + address, headers=alone, json=body, timeout=30
        )
        found.append((method, path, body, answer.status_code, code_of(answer)))
    assert found == ALONE

    document = httpx.get(f"{stack.edge_url}/api/openapi.json", timeout=30).json()["paths"]
    named = {(method, path) for method, path, *_ in ALONE}
    offered = {
        (method.upper(), path)
        for path, methods in document.items()
        if path == "/api/me" or path.startswith("/api/me/")
        for method in methods
    }
    assert offered == named


def test_an_access_token_gives_no_tokens_and_says_what_is_missing(stack, ada):
    answer = httpx.post(f"{stack.edge_url}/api/tokens", headers=bearer(ada), timeout=30)
    assert (answer.status_code, code_of(answer)) == (403, "session_required")


def test_beside_the_members_own_session_an_access_token_does_no_harm(ada):
    token = bearer(ada)
    headers = {**token, "X-Session-Token": ada.token}
    tokens = ada.http.post("/api/tokens", headers=headers)
    assert tokens.status_code == 200, tokens.text
    new = f"Correct-Horse-7{secrets.token_hex(4)}"
    wanted = {"current": ada.person.password, "new": new}
    changed = ada.http.post("/api/me/password", headers=headers, json=wanted)
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize("path", ["/api/me", "/api/me/sessions", "/api/forward-auth"])
def test_credentials_of_two_members_are_refused(stack, ada, eve, clients, path):
    browser = clients(Spa, ada.person)
    assert browser.log_in().status_code == 200
    cookie = {"Cookie": f"ory_kratos_session={browser.http.cookies['ory_kratos_session']}"}
    for other in (bearer(eve), {"X-Session-Token": eve.token}):
        answer = httpx.get(stack.edge_url + path, headers=cookie | other, timeout=30)
        assert (answer.status_code, code_of(answer)) == (400, "credentials_conflict")
    if path == "/api/me":
        answer = httpx.get(stack.edge_url + path, headers=cookie | bearer(ada), timeout=30)
        assert answer.status_code == 200


def test_nobody_changes_a_password_with_the_access_token_of_another_member(
    stack, ada, eve, clients
):
    """Ada's cookie, Eve's token, Eve's password: whose would be changed?"""
    browser = clients(Spa, ada.person)
    assert browser.log_in().status_code == 200
    wanted = {"current": eve.person.password, "new": f"Correct-Horse-7{secrets.token_hex(4)}"}
    answer = browser.http.post("/api/me/password", json=wanted, headers=bearer(eve))
    assert (answer.status_code, code_of(answer)) == (400, "credentials_conflict")
    assert clients(Native, ada.person).log_in().status_code == 200
    assert clients(Native, eve.person).log_in().status_code == 200


def test_kratos_own_order_of_credentials_is_the_documented_one(stack, ada, eve, clients):
    """`X-Session-Token`, then the cookie, then the bearer token: docs/tokens.md."""
    browser = clients(Spa, ada.person)
    assert browser.log_in().status_code == 200
    cookie = {"Cookie": f"ory_kratos_session={browser.http.cookies['ory_kratos_session']}"}

    def whose(headers: dict[str, str]) -> str:
        answer = httpx.get(stack.edge_url + WHOAMI, headers=headers, timeout=30)
        assert answer.status_code == 200
        return str(answer.json()["identity"]["id"])

    assert whose(cookie | {"X-Session-Token": eve.token}) == eve.person.identity_id
    assert whose(cookie | {"Authorization": f"Bearer {eve.token}"}) == ada.person.identity_id


def test_a_session_that_ended_at_kratos_unseen_ends_with_us_by_a_worker(stack, ada):
    """As after a logout whose edge died before it could write."""
    tokens = ada.ask("POST", "/api/tokens").json()
    with psycopg.connect(stack.kratos_database_url, autocommit=True) as kratos:
        kratos.execute(
            "update sessions set active = false where identity_id = %s", (ada.person.identity_id,)
        )
    with psycopg.connect(stack.database_url, autocommit=True) as ours:
        ours.execute(
            "insert into outbox (identity_id, lane, kind, payload, created_at, due_at)"
            " values (%s, 'session_check', 'follow_sessions', '{}', now(), now())",
            (ada.person.identity_id,),
        )
    eventually(lambda: rows(stack, ada.person)[0]["ended_at"])
    answer = ada.http.post("/api/tokens/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (answer.status_code, code_of(answer)) == (401, "session_ended")


def test_a_logout_that_failed_ended_nothing_and_is_to_be_repeated(stack, ada):
    """Kratos' table of sessions is away."""
    tokens = ada.ask("POST", "/api/tokens").json()
    body = {"session_token": ada.token}
    with psycopg.connect(stack.kratos_database_url, autocommit=True) as kratos:
        kratos.execute("alter table sessions rename to sessions_away")
        try:
            early = ada.ask("DELETE", "/self-service/logout/api", json=body)
        finally:
            kratos.execute("alter table sessions_away rename to sessions")
    assert early.status_code >= 500, early.text
    assert rows(stack, ada.person)[0]["ended_at"] is None

    assert ada.ask("DELETE", "/self-service/logout/api", json=body).status_code == 204
    assert rows(stack, ada.person)[0]["end_reason"] == "logout"
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert ada.http.post("/api/tokens/refresh", json=refresh).status_code == 401
