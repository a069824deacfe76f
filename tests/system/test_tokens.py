"""Tokens in a whole stack: one-call login, refresh at two processes, and every way to end them."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jwt
import psycopg

from integration import member_tickets, on_behalf
from tests.private_stack import KLEIS, free_ports
from tests.system.conftest import eventually
from tests.token_caller import Caller

PROBLEM = "urn:kleis:problem:"


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix(PROBLEM)


def secret_of(stack: Any) -> str:
    return str(json.loads((stack.home / "settings.json").read_text())["KLEIS_SECRET"])


def ask(stack: Any, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.database_url) as connection:
        return connection.execute(statement, values).fetchall()


def test_somebody_registers_verifies_and_logs_in_with_four_calls(app, person):
    answer = app.register(person, first_name="Ada")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    user = body["user"]
    assert (user["email"], user["username"]) == (person.email, person.username)
    assert (user["status"], body["verification_required"]) == ("pending_verification", True)

    early = app.log_in(person.username, person.password)
    assert (early.status_code, code_of(early)) == (403, "email_not_verified")
    assert early.json()["member_status"] == "pending_verification"
    [step] = early.json()["next"]
    assert step["action"] == "resend_verification"

    person.verify(flow_id=body["verification_flow_id"])
    answer = app.log_in(person.username.upper(), person.password)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["user"]["id"] == user["id"]
    assert (body["user"]["role"], body["user"]["status"]) == ("user", "active")
    assert body["user"]["profile"]["display_name"]
    tokens = body["tokens"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert tokens["refresh_expires_in"] == 604800
    assert app.me(tokens["access_token"]) == 200
    assert app.whoami(body["session"]["token"]) == 200


def test_services_verify_a_token_with_the_published_keys_alone(stack, logged_in):
    where = httpx.get(f"{stack.edge_url}/.well-known/kleis", timeout=30).json()
    answer = httpx.get(where["jwks"], timeout=30)
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = jwt.PyJWKSet.from_dict(answer.json())
    token = logged_in["tokens"]["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="kleis", issuer=stack.edge_url)
    assert claims["sid"] == logged_in["session"]["id"]
    assert claims["amr"] == ["password"]


def test_a_session_from_an_unmodified_login_is_exchanged_for_tokens(stack, app, member):
    token = member.log_in()
    answer = app.http.post("/api/tokens", headers={"X-Session-Token": token})
    assert answer.status_code == 200, answer.text
    assert app.me(answer.json()["access_token"]) == 200
    for body in ({"audience": "kleis"}, {}):
        again = app.http.post("/api/tokens", headers={"X-Session-Token": token}, json=body)
        assert again.status_code == 200
    wrong = app.http.post(
        "/api/tokens", headers={"X-Session-Token": token}, json={"audience": "other"}
    )
    assert (wrong.status_code, code_of(wrong)) == (422, "invalid_input")
    access = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    refused = app.http.post("/api/tokens", headers=access)
    assert (refused.status_code, code_of(refused)) == (403, "session_required")
    assert app.http.post("/api/tokens").status_code == 401


def test_fields_at_fault_are_named(app, person):
    answer = app.http.post(
        "/api/auth/register",
        json={"email": "nonsense", "username": "x", "password": "short"},
    )
    assert answer.status_code == 422
    errors = {each["pointer"]: each for each in answer.json()["errors"]}
    assert set(errors) & {"#/email", "#/username", "#/password"}
    assert all(each["detail"] and each["code"] for each in errors.values())

    person.password = "weak"
    errors = app.register(person).json()["errors"]
    assert {each["pointer"] for each in errors} == {"#/password"}
    assert "password_too_short" in {each["code"] for each in errors}


def test_an_address_that_is_taken_is_told_as_by_the_flow(app, member, another_person):
    another_person.email = member.email
    answer = app.register(another_person)
    assert answer.status_code == 422
    assert [each["code"] for each in answer.json()["errors"]] == ["identifier_taken"]


def test_wrong_credentials_read_alike_whoever_they_are_of(app, member):
    wrong = app.log_in(member.email, "Wrong-password-1")
    nobody = app.log_in(f"{secrets.token_hex(6)}@example.test", "Wrong-password-1")
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    assert code_of(wrong) == "invalid_credentials"


def test_guesses_count_like_everybody_elses_and_end_in_a_wait(stack, app, member):
    for _ in range(5):
        assert app.log_in(member.email, secrets.token_hex(8)).status_code == 401
    answer = app.log_in(member.email, member.password)
    assert (answer.status_code, code_of(answer)) == (429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) > 1000
    flow = app.http.get("/self-service/login/api").json()["id"]
    body = {"method": "password", "identifier": member.email, "password": member.password}
    native = app.http.post("/self-service/login", params={"flow": flow}, json=body)
    assert native.status_code == 429, "the same count, whichever way in"


def test_an_attempt_is_recorded_with_the_clients_own_address_and_program(stack, app, member):
    app.log_in(member.email, member.password)

    def attempts():
        return ask(
            stack,
            "select host(address), user_agent, outcome from login_attempts where identity_id = %s",
            member.identity_id,
        )

    assert eventually(attempts) == [("127.0.0.1", "Owner/1.0", "success")]


def test_nobody_else_speaks_for_an_address(stack, app, member):
    """With the secret a header moves the count to another address; without it, nothing does."""
    forged = [
        on_behalf.issue("not the secret", "203.0.113.9", "/self-service/login", now=time.time()),
        on_behalf.issue(secret_of(stack), "203.0.113.9", "/other", now=time.time()),
        on_behalf.issue(secret_of(stack), "203.0.113.9", "/self-service/login", now=1.0),
        "203.0.113.9",
        "",
    ]
    for value in forged:
        native(app, member.email, secrets.token_hex(8), {on_behalf.HEADER: value})
    assert native(app, member.email, member.password, {}).status_code == 429
    path = "/self-service/login"
    ours = on_behalf.issue(secret_of(stack), "203.0.113.9", path, now=time.time())
    answer = native(app, member.email, member.password, {on_behalf.HEADER: ours})
    assert answer.status_code == 200, "another address has not failed yet"


def native(app, identifier, password, headers):
    flow = app.http.get("/self-service/login/api").json()["id"]
    body = {"method": "password", "identifier": identifier, "password": password}
    return app.http.post("/self-service/login", params={"flow": flow}, json=body, headers=headers)


def test_a_suspended_member_learns_what_to_do_with_the_right_password_alone(
    stack, app, admin, member, logged_in
):
    tokens = logged_in["tokens"]
    admin.patch(
        f"/admin/identities/{member.identity_id}",
        json=[{"op": "replace", "path": "/state", "value": "inactive"}],
    ).raise_for_status()
    assert app.refresh(tokens["refresh_token"]).status_code == 401
    assert app.me(tokens["access_token"]) == 401
    answer = app.log_in(member.email, member.password)
    assert (answer.status_code, code_of(answer)) == (403, "account_suspended")
    assert answer.json()["member_status"] == "suspended"
    [step] = answer.json()["next"]
    secret, now = secret_of(stack), _now()
    assert step["action"] == "appeal"
    read = member_tickets.read(secret, "appeal", step["ticket"], now=now)
    assert read.identity_id == UUID(member.identity_id)
    assert member_tickets.read(secret, "reactivate", step["ticket"], now=now) is None
    wrong = app.log_in(member.email, "Wrong-password-1")
    assert (wrong.status_code, code_of(wrong)) == (401, "invalid_credentials")


def _now():
    return datetime.now(UTC)


def test_a_deleted_members_tokens_are_gone_with_it(app, admin, member, logged_in):
    admin.delete(f"/admin/identities/{member.identity_id}").raise_for_status()
    assert app.refresh(logged_in["tokens"]["refresh_token"]).status_code == 401
    assert app.me(logged_in["tokens"]["access_token"]) == 401
    assert app.log_in(member.email, member.password).status_code == 401


def test_taking_the_refresh_token_back_logs_out_at_kratos_too(app, logged_in):
    token = logged_in["session"]["token"]
    assert app.whoami(token) == 200
    body = {"token": logged_in["tokens"]["refresh_token"]}
    assert app.http.post("/api/tokens/revoke", data=body).status_code == 200
    assert app.me(logged_in["tokens"]["access_token"]) == 401
    eventually(lambda: app.whoami(token) == 401)


def test_a_stolen_token_ends_the_kratos_session_and_the_owner_gets_a_mail(app, member, logged_in):
    stolen = logged_in["tokens"]["refresh_token"]
    thief = httpx.post(
        f"{app.http.base_url}/api/tokens/refresh",
        json={"refresh_token": stolen},
        headers={"User-Agent": "Thief/1.0"},
        timeout=30,
    )
    assert thief.status_code == 200
    assert code_of(app.refresh(stolen)) == "refresh_token_reused"
    assert app.refresh(thief.json()["refresh_token"]).status_code == 401
    assert app.me(thief.json()["access_token"]) == 401
    eventually(lambda: app.whoami(logged_in["session"]["token"]) == 401)
    subject = "You were logged out for safety"
    eventually(lambda: subject in [mail["subject"] for mail in member.mails()])


def test_a_new_password_ends_the_tokens_of_older_sessions(app, member, logged_in):
    token = member.log_in()
    headers = {"X-Session-Token": token}
    flow = app.http.get("/self-service/settings/api", headers=headers).json()["id"]
    body = {"method": "password", "password": f"Brand-New-7{secrets.token_hex(6)}"}
    changed = app.http.post(
        "/self-service/settings", params={"flow": flow}, json=body, headers=headers
    )
    assert changed.status_code == 200, changed.text
    assert app.refresh(logged_in["tokens"]["refresh_token"]).status_code == 401
    assert app.me(logged_in["tokens"]["access_token"]) == 401


@contextmanager
def another_service(stack: Any) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A second service process of the same stack."""
    service, hooks = free_ports(2)
    settings = json.loads((stack.home / "settings.json").read_text())
    environ = {name: v for name, v in os.environ.items() if not name.startswith("KLEIS_")}
    environ |= settings | {"KLEIS_PORT_SERVICE": str(service), "KLEIS_PORT_HOOKS": str(hooks)}
    process = subprocess.Popen(
        [KLEIS, "serve", "service"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{service}"
    try:
        eventually(lambda: _answers(url))
        yield url, process
    finally:
        process.kill()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/alive", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_a_hundred_refreshes_at_two_processes_give_one_successor(stack, app, logged_in):
    token = logged_in["tokens"]["refresh_token"]
    with another_service(stack) as (url, _), Caller(url).http as second:

        def refresh(number: int) -> httpx.Response:
            client = second if number % 2 else app.http
            return client.post("/api/tokens/refresh", json={"refresh_token": token})

        with ThreadPoolExecutor(25) as pool:
            answers = list(pool.map(refresh, range(100)))
    assert {answer.status_code for answer in answers} == {200}
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    assert app.refresh(successor).status_code == 200
    [(generation,)] = ask(
        stack,
        "select generation from token_families where session_id = %s",
        logged_in["session"]["id"],
    )
    assert generation == 2


def test_a_process_killed_after_rotating_logs_nobody_out(stack, app, logged_in):
    """The answer is never read: the client knows only that the connection broke."""
    token = logged_in["tokens"]["refresh_token"]
    session_id = logged_in["session"]["id"]
    with another_service(stack) as (url, process):
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            body = json.dumps({"refresh_token": token}).encode()
            head = (
                "POST /api/tokens/refresh HTTP/1.1\r\nHost: x\r\nUser-Agent: Owner/1.0\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            statement = "select generation from token_families where session_id = %s"
            with psycopg.connect(stack.database_url, autocommit=True) as database:
                while database.execute(statement, (session_id,)).fetchone() != (1,):
                    pass
            os.kill(process.pid, signal.SIGKILL)
    answer = app.refresh(token)
    assert answer.status_code == 200, answer.text
    following = app.refresh(answer.json()["refresh_token"])
    assert following.status_code == 200
    assert app.me(following.json()["access_token"]) == 200


def test_who_waits_at_the_edge_hears_of_a_logout(stack, app, logged_in):
    path = "/api/tokens/revocations"
    version = app.http.get(path).headers["etag"]
    with ThreadPoolExecutor(1) as pool:
        headers = {"If-None-Match": version}
        waits = pool.submit(app.http.get, path, params={"wait": 20}, headers=headers)
        body = {"token": logged_in["tokens"]["refresh_token"]}
        httpx.post(f"{stack.edge_url}/api/tokens/revoke", json=body, timeout=30).raise_for_status()
        answer = waits.result()
    assert answer.status_code == 200
    assert logged_in["session"]["id"] in {each["sid"] for each in answer.json()["revoked"]}


def test_an_operator_rotates_the_key_and_nobody_notices(stack, app, logged_in):
    before = httpx.get(f"{stack.edge_url}/.well-known/jwks.json", timeout=30).json()["keys"]
    done = stack.run("key", "rotate-signing")
    assert done.returncode == 0, done.stderr
    assert "signs from" in done.stdout

    def shown():
        keys = httpx.get(f"{stack.edge_url}/.well-known/jwks.json", timeout=30).json()["keys"]
        return len(keys) == len(before) + 1

    eventually(shown)
    assert app.me(logged_in["tokens"]["access_token"]) == 200
    token = app.refresh(logged_in["tokens"]["refresh_token"]).json()["access_token"]
    assert jwt.get_unverified_header(token)["kid"] in {key["kid"] for key in before}
