"""Passwords: judged by the edge, held up by the hook, in every form and on every way."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest

JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}
FORMS = ("native", "browser", "form")
BAD = {
    "Ab1!": {"password_too_short"},
    "correct-horse-battery-1": {"password_without_upper"},
    "Password1!": {"password_common"},
    "short": {
        "password_too_short",
        "password_without_upper",
        "password_without_digit",
        "password_without_special",
    },
    # Kratos itself would answer this one in its own words, and hash it nowhere.
    "Aa1!" + "x" * 69: {"password_too_long"},
    # 72 characters, but more bytes.
    "Aa1!" + "\u00e9" * 68: {"password_too_long"},
}


class Client:
    """One person at one kind of client: native JSON, browser JSON, or a form."""

    def __init__(self, stack: Any, form: str) -> None:
        self.stack, self.form = stack, form
        accept = HTML if form == "form" else JSON
        self.http = httpx.Client(base_url=stack.edge_url, headers=accept, timeout=30)
        self.is_native = form == "native"

    def start(self, kind: str, **query: str) -> dict[str, Any]:
        path = f"/self-service/{kind}/{'api' if self.is_native else 'browser'}"
        answer = self.http.get(path, headers=JSON, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, flow: dict[str, Any], **body: Any) -> httpx.Response:
        action = flow["ui"]["action"]
        if self.is_native:
            return self.http.post(action, json=body)
        body = {"csrf_token": csrf_token(flow), **body}
        if self.form == "browser":
            return self.http.post(action, json=body)
        traits = body.pop("traits", {})
        return self.http.post(action, data=body | {f"traits.{k}": v for k, v in traits.items()})

    def shown(self, kind: str, flow: dict[str, Any], answer: httpx.Response) -> dict[str, Any]:
        """Return the flow as the person sees it after an answer."""
        if self.form != "form":
            assert answer.status_code == 400, answer.text
            return answer.json()
        assert answer.status_code in (302, 303), answer.text
        assert flow["id"] in answer.headers["location"]
        path = f"/self-service/{kind}/flows"
        return self.http.get(path, params={"id": flow["id"]}, headers=JSON).json()

    def log_in(self, person: Any) -> httpx.Response:
        answer = self.submit(
            self.start("login"),
            method="password",
            identifier=person.username,
            password=person.password,
        )
        if self.is_native and answer.status_code == 200:
            self.http.headers["x-session-token"] = answer.json()["session_token"]
        return answer

    def is_logged_in(self) -> bool:
        return self.http.get("/sessions/whoami", headers=JSON).status_code == 200

    def change(self, password: str) -> tuple[dict[str, Any], httpx.Response]:
        flow = self.start("settings")
        return flow, self.submit(flow, method="password", password=password)


def csrf_token(flow: dict[str, Any]) -> str:
    names = {node["attributes"].get("name"): node["attributes"] for node in flow["ui"]["nodes"]}
    return names["csrf_token"]["value"]


def codes_at_password(flow: dict[str, Any]) -> set[str]:
    """Return what was refused, all of it in our words and at the password field."""
    found = [
        (node["attributes"].get("name"), message)
        for node in flow["ui"]["nodes"]
        for message in node.get("messages") or []
    ]
    assert all(name == "password" and message["id"] > 9_400_000 for name, message in found), found
    assert not flow["ui"].get("messages")
    return {message["context"]["code"] for _, message in found}


def fresh() -> str:
    return f"Correct-Horse-{secrets.token_hex(4)}"


@pytest.fixture
def clients(stack: Any) -> Iterator[Callable[[str], Client]]:
    """Return a function that makes one more client of a kind."""
    with ExitStack() as everybody:

        def make(form: str) -> Client:
            made = Client(stack, form)
            everybody.enter_context(made.http)
            return made

        yield make


@pytest.fixture
def client(clients: Callable[[str], Client], request: pytest.FixtureRequest) -> Client:
    return clients(request.param)


def traits(person: Any) -> dict[str, str]:
    return {"email": person.email, "username": person.username, "first_name": "Augusta"}


every_form = pytest.mark.parametrize("client", FORMS, indirect=True)


@every_form
def test_a_registration_with_a_bad_password_is_refused_with_all_reasons_at_once(client, person):
    flow = client.start("registration")
    bad = BAD | {
        f"Xy1!{person.username}": {"password_personal"},
        f"Xy1!{person.email.partition('@')[0]}": {"password_personal"},
        "Augusta-77-!": {"password_personal"},
    }
    for password, codes in bad.items():
        answer = client.submit(flow, method="password", password=password, traits=traits(person))
        assert codes_at_password(client.shown("registration", flow, answer)) == codes, password
        assert "kleis_attempt" not in answer.text + str(answer.headers)

    answer = client.submit(flow, method="password", password=fresh(), traits=traits(person))
    assert answer.status_code == (303 if client.form == "form" else 200), answer.text


def test_a_refusal_of_name_and_password_comes_in_one_answer(stack, person, clients):
    client = clients("native")
    flow = client.start("registration")
    body = {"email": person.email, "username": "admin"}
    answer = client.submit(flow, method="password", password="Password1!", traits=body)
    messages = [
        message["context"]["code"]
        for node in answer.json()["ui"]["nodes"]
        for message in node.get("messages") or []
    ]
    assert set(messages) == {"username_reserved", "password_common"}


@every_form
def test_the_last_five_passwords_cannot_come_back(client, member, eventually):
    used = [member.password]
    for _ in range(3):
        assert client.log_in(member).status_code in (200, 303)
        for old in used[-2:]:
            flow, answer = client.change(old)
            shown = client.shown("settings", flow, answer)
            assert codes_at_password(shown) == {"password_reused"}
        for bad in ("Password1!", "Aa1!" + "x" * 69):
            flow, answer = client.change(bad)
            assert codes_at_password(client.shown("settings", flow, answer)) == BAD[bad]
        member.password = fresh()
        _, answer = client.change(member.password)
        assert answer.status_code in (200, 303), answer.text
        used.append(member.password)
        if client.form == "form":
            assert answer.headers["location"].endswith("/account/password-changed")
        eventually(lambda: not client.is_logged_in(), seconds=1)


def test_after_five_others_a_password_may_come_back(member, clients, eventually):
    first, client = member.password, clients("native")
    for _ in range(5):
        client.log_in(member)
        assert codes_at_password(client.change(first)[1].json()) == {"password_reused"}
        member.password = fresh()
        assert client.change(member.password)[1].status_code == 200
        eventually(lambda: not client.is_logged_in(), seconds=1)
    client.log_in(member)
    assert client.change(first)[1].status_code == 200


@every_form
def test_a_change_ends_every_session_within_a_second_and_says_so(
    client, member, stack, eventually, clients
):
    others = [clients("native"), clients("browser")]
    for one in (*others, client):
        one.http.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
        assert one.log_in(member).status_code in (200, 303)
    old = member.password
    member.password = fresh()

    _, answer = client.change(member.password)
    assert answer.status_code in (200, 303)
    if client.form != "form":
        assert answer.json()["state"] == "success"
    assert not any(other.is_logged_in() for other in others)
    eventually(lambda: not client.is_logged_in(), seconds=1)

    # Whoever logs in anew right away stays logged in when the outbox looks again.
    again = clients("native")
    assert again.log_in(member).status_code == 200
    mail = eventually(lambda: [m for m in member.mails() if "was changed" in m["subject"]])[0]
    assert "Firefox on Linux at the address 127.0.0.1" in mail["text"]
    assert f"{stack.edge_url}/recovery" in mail["text"]
    assert old not in mail["text"]
    eventually(lambda: undone(stack, member) == 0)
    assert again.is_logged_in()
    member.password, now = old, member.password
    assert clients("native").log_in(member).status_code == 400
    member.password = now


def undone(stack: Any, person: Any) -> int:
    """Return how many effects of a member are still to come; events wait for a consumer."""
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "select count(*) from outbox where identity_id = %s and done_at is null"
            " and lane <> 'event'",
            (person.identity_id,),
        ).fetchone()
    return row[0]


def test_a_recovered_account_gets_its_new_password_judged_too(stack, member, clients):
    client = clients("browser")
    flow = client.start("recovery")
    client.submit(flow, method="code", email=member.email)
    code = member.code(nth=2)
    answer = client.submit(flow, method="code", code=code)
    assert answer.status_code == 200, answer.text
    flow, answer = client.change(member.password)
    assert codes_at_password(answer.json()) == {"password_reused"}
    member.password = fresh()
    assert client.change(member.password)[1].status_code == 200
    assert clients("native").log_in(member).status_code == 200


@pytest.mark.parametrize("form", FORMS)
def test_who_is_shut_out_reads_why_after_the_right_code_of_a_recovery(stack, member, clients, form):
    client = clients(form)
    flow = client.start("recovery")
    client.submit(flow, method="code", email=member.email)
    code = member.code(nth=2)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "update members set status = 'banned' where identity_id = %s", (member.identity_id,)
        )

    answer = client.submit(flow, method="code", code=code)

    assert answer.status_code == (303 if form == "form" else 400), answer.text
    # Kratos goes on in a new flow, whatever the client.
    new = {"id": answer.headers["location"].partition("flow=")[2]} if form == "form" else flow
    shown = client.shown("recovery", new, answer)
    assert [message["text"] for message in shown["ui"]["messages"]] == ["This account is banned."]
    assert "session_token" not in answer.text
    assert "ory_kratos_session" not in client.http.cookies


def kratos_url(stack: Any) -> str:
    return f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KRATOS_PUBLIC']}"


def test_past_the_edge_no_password_is_taken(stack, person, member, another_person, clients):
    """Kratos itself is private; whoever reaches it all the same changes no password."""
    with httpx.Client(base_url=kratos_url(stack), headers=JSON, timeout=30) as direct:
        for attempt in ("", "&kleis_attempt=" + "0" * 32, "&kleis_attempt=x"):
            flow = direct.get("/self-service/registration/api").json()
            answer = direct.post(
                f"/self-service/registration?flow={flow['id']}{attempt}",
                json={
                    "method": "password",
                    "password": fresh(),
                    "traits": traits(another_person),
                },
            )
            assert answer.status_code == 400
            assert codes_at_password(answer.json()) == {"password_unchecked"}

        client = clients("native")
        client.log_in(member)
        token = {"x-session-token": client.http.headers["x-session-token"]}
        flow = direct.get("/self-service/settings/api", headers=token).json()
        address = f"/self-service/settings?flow={flow['id']}"
        body = {"method": "password", "password": fresh()}
        answer = direct.post(address, json=body, headers=token)
        assert codes_at_password(answer.json()) == {"password_unchecked"}
        # The other methods need no verdict.
        body = {"method": "profile", "traits": traits(member)}
        assert direct.post(address, json=body, headers=token).status_code == 200


def test_a_verdict_of_another_flow_or_person_does_not_count(stack, member, clients):
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "insert into password_attempts (id, flow_id, identity_id, reasons, salt, digest)"
            " values ('11111111111111111111111111111111', gen_random_uuid(), %s, '[]', 's', 'd')",
            (member.identity_id,),
        )
    client = clients("native")
    client.log_in(member)
    token = {"x-session-token": client.http.headers["x-session-token"]}
    with httpx.Client(base_url=kratos_url(stack), headers=JSON | token, timeout=30) as direct:
        flow = direct.get("/self-service/settings/api").json()
        answer = direct.post(
            f"/self-service/settings?flow={flow['id']}&kleis_attempt={'1' * 32}",
            json={"method": "password", "password": fresh()},
        )
    assert codes_at_password(answer.json()) == {"password_unchecked"}


@every_form
def test_a_flow_that_ran_out_shows_no_attempt_in_the_one_that_replaces_it(client, person, stack):
    flow = client.start("registration")
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update selfservice_registration_flows set expires_at = now() - interval '1 minute'"
            " where id = %s",
            (flow["id"],),
        )
    answer = client.submit(flow, method="password", password=fresh(), traits=traits(person))
    if client.form == "form":
        new = answer.headers["location"].partition("flow=")[2]
    else:
        assert answer.status_code == 410
        new = answer.json()["use_flow_id"]
    path = "/self-service/registration/flows"
    shown = client.http.get(path, params={"id": new}, headers=JSON)
    assert shown.status_code == 200
    assert "kleis_attempt" not in shown.text + answer.text + str(answer.headers)


@every_form
def test_a_client_cannot_name_an_attempt_of_its_own(client, person):
    flow = client.start("registration")
    flow["ui"]["action"] += "&kleis_attempt=" + "1" * 32
    answer = client.submit(flow, method="password", password=fresh(), traits=traits(person))
    assert answer.status_code == 400
    assert "exists" not in answer.text


@every_form
def test_a_session_too_old_is_asked_to_log_in_and_kratos_never_sees_the_password(
    client, member, stack
):
    client.log_in(member)
    flow = client.start("settings")
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update sessions set authenticated_at = now() - interval '14 minutes 30 seconds'"
            " where identity_id = %s",
            (member.identity_id,),
        )
    secret = fresh()

    answer = client.submit(flow, method="password", password=secret)

    if client.form == "form":
        assert answer.status_code == 303
        target = answer.headers["location"]
    else:
        assert answer.status_code == 403
        assert answer.json()["error"]["id"] == "session_refresh_required"
        target = answer.json()["redirect_browser_to"]
    assert target.startswith(f"{stack.edge_url}/self-service/login/browser?refresh=true&return_to=")
    assert flow["id"] in target
    with psycopg.connect(stack.kratos_database_url) as connection:
        kept = connection.execute("select payload::text from continuity_containers").fetchall()
    assert all(secret not in row[0] for row in kept)

    again = client.start("login", refresh="true")
    login = client.submit(
        again, method="password", identifier=member.username, password=member.password
    )
    assert login.status_code in (200, 303)
    member.password = secret
    assert client.submit(flow, method="password", password=secret).status_code in (200, 303)


def test_the_session_ends_surely_when_the_edge_dies_after_the_change(
    stack, member, eventually, clients
):
    """The outbox makes sure of what the edge does first."""
    client = clients("native")
    client.log_in(member)
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "insert into outbox (identity_id, lane, kind, payload, created_at, due_at)"
            " values (%s, 'sessions', 'end_older_sessions',"
            " jsonb_build_object('before', now()), now(), now())",
            (member.identity_id,),
        )
    eventually(lambda: not client.is_logged_in())


def test_nothing_of_a_password_is_kept_in_clear_text_or_logged(stack, person):
    person.register()
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute("select h::text from password_histories h").fetchall()
        left = connection.execute(
            "select count(*) from password_attempts where identity_id = %s", (person.identity_id,)
        ).fetchone()
    assert left == (0,)
    logs = "".join(stack.log(name) for name in ("edge", "service", "worker", "kratos"))
    for text in (str(rows), logs):
        assert person.password not in text
    assert not re.search(r"kleis_attempt=[0-9a-f]{32}", stack.log("edge"))


def test_the_demo_members_log_in_and_their_first_password_counts_from_then_on(
    stack, clients, eventually
):
    """An admin call made them: nobody judged their passwords."""
    for demo in stack.facts["demo_members"]:
        client = clients("native")
        flow = client.start("login")
        answer = client.submit(
            flow, method="password", identifier=demo["email"], password=demo["password"]
        )
        assert answer.status_code == 200
        identity_id = answer.json()["session"]["identity"]["id"]
        eventually(lambda who=identity_id: is_learned(stack, who))


def is_learned(stack: Any, identity_id: str) -> bool:
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "select cardinality(digests) from password_histories where identity_id = %s",
            (identity_id,),
        ).fetchone()
    return row == (1,)


def test_a_password_that_an_admin_set_cannot_be_set_again(stack, person, clients, eventually):
    headers = {"authorization": f"Bearer {stack.facts['admin_api_key']}"}
    body = {
        "schema_id": "member",
        "traits": {"email": person.email, "username": person.username},
        "credentials": {"password": {"config": {"password": person.password}}},
        "verifiable_addresses": [
            {"value": person.email, "verified": True, "via": "email", "status": "completed"}
        ],
    }
    url = f"{stack.edge_url}/admin/identities"
    made = httpx.post(url, json=body, headers=headers, timeout=30)
    assert made.status_code == 201, made.text
    client = clients("native")
    eventually(lambda: client.log_in(person).status_code == 200)
    eventually(lambda: is_learned(stack, made.json()["id"]))
    assert codes_at_password(client.change(person.password)[1].json()) == {"password_reused"}
