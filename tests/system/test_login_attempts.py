"""Every login submit becomes one record, in whatever form it comes; real Kratos decides."""

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import psycopg
import pytest
from bs4 import BeautifulSoup
from psycopg.rows import dict_row

JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}
STEPS = (
    "rate_limiting",
    "input_validation",
    "user_lookup",
    "password_verification",
    "account_status_check",
    "token_generation",
    "session_creation",
)


class Record:
    """What the database says."""

    def __init__(self, stack, eventually) -> None:
        self._connection = psycopg.connect(
            stack.database_url, autocommit=True, row_factory=dict_row
        )
        self._eventually = eventually

    def close(self) -> None:
        self._connection.close()

    def attempts(self, flow_id: str, number: int = 1) -> list[dict]:
        """Wait for this many attempts at a flow and return them, oldest first."""

        def rows() -> list[dict]:
            statement = "SELECT * FROM login_attempts WHERE flow_id = %s ORDER BY at"
            return self._connection.execute(statement, (flow_id,)).fetchall()

        self._eventually(lambda: len(rows()) >= number)
        found = rows()
        assert len(found) == number
        return found

    def logins(self, person) -> int:
        statement = "SELECT login_count, last_login_at FROM members WHERE identity_id = %s"
        row = self._connection.execute(statement, (person.identity_id,)).fetchone()
        assert (row["last_login_at"] is None) == (row["login_count"] == 0)
        return row["login_count"]


@pytest.fixture
def record(stack, eventually) -> Iterator[Record]:
    made = Record(stack, eventually)
    yield made
    made.close()


@pytest.fixture
def member(person):
    """Somebody who may log in."""
    person.register()
    person.verify()
    return person


class Client:
    """One kind of client: how it starts a flow, submits it, and what it is told."""

    def __init__(self, stack, kind: str, encoding: str) -> None:
        self.kind, self.encoding = kind, encoding
        headers = HTML if kind == "form" else JSON
        self.http = httpx.Client(
            base_url=stack.edge_url, headers={**headers, "user-agent": "a test"}, timeout=30
        )

    def start(self, **query: str) -> dict:
        if self.kind == "native":
            return self.http.get("/self-service/login/api", params=query).json()
        answer = self.http.get("/self-service/login/browser", params=query)
        if self.kind == "spa":
            return answer.json()
        assert answer.status_code == 303, answer.text
        flow_id = answer.headers["location"].partition("flow=")[2]
        flows = self.http.get("/self-service/login/flows", params={"id": flow_id}, headers=JSON)
        return flows.json()

    def submit(self, flow: dict, **fields: str) -> httpx.Response:
        nodes = (node["attributes"] for node in flow["ui"]["nodes"] or [])
        token = next((node["value"] for node in nodes if node.get("name") == "csrf_token"), None)
        body = {"method": "password", **fields, **({"csrf_token": token} if token else {})}
        kwargs = {"json": body} if self.encoding == "json" else {"data": body}
        return self.http.post(flow["ui"]["action"], **kwargs)


KINDS = [("native", "json"), ("native", "form"), ("spa", "json"), ("spa", "form"), ("form", "form")]


@pytest.fixture(params=KINDS, ids="-".join)
def client(request, stack) -> Iterator[Client]:
    made = Client(stack, *request.param)
    yield made
    made.http.close()


@pytest.fixture
def native(stack) -> Iterator[Client]:
    made = Client(stack, "native", "json")
    yield made
    made.http.close()


def test_a_wrong_and_a_right_password_are_two_records_in_every_form(client, member, record):
    flow = client.start()
    client.submit(flow, identifier=member.email.upper(), password="Wrong-Horse-1")
    again = client.start()
    answer = client.submit(again, identifier=member.username, password=member.password)
    assert answer.status_code in (200, 303), answer.text

    [wrong], [right] = record.attempts(flow["id"]), record.attempts(again["id"])

    assert (wrong["outcome"], wrong["code"]) == ("wrong_credentials", "kratos_4000006")
    assert (right["outcome"], right["code"]) == ("success", None)
    assert {wrong["identity_id"], right["identity_id"]} == {UUID(member.identity_id)}
    assert wrong["identifier_hash"] != right["identifier_hash"]
    assert (str(right["address"]), right["user_agent"]) == ("127.0.0.1", "a test")
    assert (right["method"], right["device_id"]) == ("password", None)
    assert record.logins(member) == 1


def test_a_stranger_is_recorded_without_a_member(client, record):
    flow = client.start()
    client.submit(flow, identifier="nobody@example.test", password="Wrong-Horse-1")

    [attempt] = record.attempts(flow["id"])
    assert (attempt["outcome"], attempt["identity_id"]) == ("wrong_credentials", None)
    assert len(attempt["identifier_hash"]) == 32


def test_somebody_unverified_and_somebody_suspended_are_no_wrong_passwords(
    client, member, another_person, record, admin
):
    another_person.register()
    flow = client.start()
    client.submit(flow, identifier=another_person.email, password=another_person.password)
    [attempt] = record.attempts(flow["id"])
    assert (attempt["outcome"], attempt["code"]) == ("unverified", "email_not_verified")

    change = [{"op": "replace", "path": "/state", "value": "inactive"}]
    admin.patch(f"/admin/identities/{member.identity_id}", json=change).raise_for_status()
    flow = client.start()
    client.submit(flow, identifier=member.email, password=member.password)
    [attempt] = record.attempts(flow["id"])
    assert (attempt["outcome"], record.logins(member)) == ("disabled", 0)


def test_a_missing_csrf_token_and_an_empty_form_try_nothing(stack, member, record):
    for kind in ("spa", "form"):
        browser = Client(stack, kind, "form")
        flow = browser.start()
        form = {"method": "password", "identifier": member.email, "password": member.password}
        browser.http.post(flow["ui"]["action"], data=form)
        [attempt] = record.attempts(flow["id"])
        assert (attempt["outcome"], attempt["code"]) == ("csrf", "security_csrf_violation")

        flow = browser.start()
        browser.submit(flow, identifier="", password="")
        [attempt] = record.attempts(flow["id"])
        assert attempt["outcome"] == "validation"
        browser.http.close()


def test_a_refresh_and_a_second_login_count_as_what_they_are(client, member, record):
    flow = client.start()
    answer = client.submit(flow, identifier=member.email, password=member.password)
    if client.kind == "native":
        client.http.headers["x-session-token"] = answer.json()["session_token"]
    record.attempts(flow["id"])

    fresh = client.start(refresh="true")
    client.submit(fresh, identifier=member.email, password=member.password)

    [attempt] = record.attempts(fresh["id"])
    assert attempt["outcome"] == "success"
    assert attempt["identity_id"] == UUID(member.identity_id)
    assert record.logins(member) == 1


def totp(secret: str, *, ahead: int = 0) -> str:
    """Return the code of RFC 6238: six digits, thirty seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.digest(key, counter, hashlib.sha1)
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def enrol(edge: httpx.Client) -> tuple[str, list[str]]:
    """Give the session's member a TOTP and look-up codes; return secret and codes."""
    flow = edge.get("/self-service/settings/api").json()
    attributes = (node["attributes"] for node in flow["ui"]["nodes"])
    secret = next(a["text"]["text"] for a in attributes if a.get("id") == "totp_secret_key")
    body = {"method": "totp", "totp_code": totp(secret)}
    assert edge.post(flow["ui"]["action"], json=body).status_code == 200

    flow = edge.get("/self-service/settings/api").json()
    body = {"method": "lookup_secret", "lookup_secret_regenerate": True}
    shown = edge.post(flow["ui"]["action"], json=body).json()
    attributes = (node["attributes"] for node in shown["ui"]["nodes"])
    codes = next(a for a in attributes if a.get("id") == "lookup_secret_codes")
    codes = [each["text"] for each in codes["text"]["context"]["secrets"]]
    body = {"method": "lookup_secret", "lookup_secret_confirm": True}
    assert edge.post(flow["ui"]["action"], json=body).status_code == 200
    return secret, codes


def test_second_factors_are_recorded_with_their_member_and_count_no_login(native, member, record):
    token = member.log_in()
    native.http.headers["x-session-token"] = token
    secret, codes = enrol(native.http)
    native.http.headers["x-session-token"] = member.log_in()
    logins = 2

    flow = native.start(aal="aal2")
    native.submit(flow, method="totp", totp_code="000000")
    native.submit(flow, method="lookup_secret", lookup_secret="abcdefgh")
    native.submit(flow, method="lookup_secret", lookup_secret=codes[0])
    wrong, unknown, right = record.attempts(flow["id"], 3)
    assert [each["method"] for each in (wrong, unknown, right)] == [
        "totp",
        "lookup_secret",
        "lookup_secret",
    ]
    assert [each["outcome"] for each in (wrong, unknown, right)] == [
        "wrong_code",
        "wrong_code",
        "success",
    ]
    assert {each["identity_id"] for each in (wrong, unknown, right)} == {UUID(member.identity_id)}
    assert record.logins(member) == logins

    native.http.headers["x-session-token"] = member.log_in()
    flow = native.start(aal="aal2")
    native.submit(flow, method="totp", totp_code=totp(secret, ahead=1))
    assert record.attempts(flow["id"])[0]["outcome"] == "success"
    assert record.logins(member) == logins + 1


def test_a_mailed_code_is_one_record_once_it_is_tried(native, member, record):
    native.http.headers["x-session-token"] = member.log_in()
    flow = native.start(aal="aal2")
    answer = native.submit(flow, method="code", address=member.email)
    assert answer.json()["state"] == "sent_email", answer.text
    native.submit(flow, method="code", code="000000")

    [attempt] = record.attempts(flow["id"])

    assert (attempt["method"], attempt["outcome"]) == ("code", "wrong_code")
    assert attempt["identity_id"] == UUID(member.identity_id)


def states(flow: dict) -> dict[str, str]:
    return {step["name"]: step["state"] for step in flow["steps"]}


def test_the_steps_of_a_login_tell_nobody_but_admins_who_exists(
    native, member, record, admin, stack
):
    views = {}
    for name in (member.email, "nobody@example.test"):
        flow = native.start()
        native.submit(flow, identifier=name, password="Wrong-Horse-1")
        record.attempts(flow["id"])
        path = f"/api/flows/{flow['id']}"
        views[name] = (httpx.get(stack.edge_url + path, timeout=30).json(), admin.get(path).json())

    (known, known_to_admin), (unknown, unknown_to_admin) = views.values()
    assert tuple(states(known)) == STEPS
    assert states(known) == states(unknown)
    assert states(known)["user_lookup"] == states(known)["password_verification"] == "failed"
    assert known["error"] == unknown["error"]
    for view in (known, unknown):
        assert len({step["at"] for step in view["steps"] if step["at"]}) == 1
    assert states(known_to_admin)["user_lookup"] == "completed"
    assert known_to_admin["error"]["step"] == "password_verification"
    assert unknown_to_admin["error"]["step"] == "user_lookup"
    assert states(unknown_to_admin)["password_verification"] == "pending"


def test_a_login_that_succeeded_is_shown_as_completed_in_every_form(client, member, record, stack):
    flow = client.start()
    client.submit(flow, identifier=member.email, password=member.password)
    record.attempts(flow["id"])

    answer = client.http.get(f"/api/flows/{flow['id']}", headers=JSON)

    assert answer.status_code == 200, answer.text
    assert set(states(answer.json()).values()) == {"completed"}
    if client.kind != "native":
        path = f"{stack.edge_url}/api/flows/{flow['id']}"
        assert httpx.get(path, headers=JSON, timeout=30).status_code == 404


def test_an_unverified_login_fails_at_the_status_of_the_account(native, person, record):
    person.register()
    flow = native.start()
    native.submit(flow, identifier=person.email, password=person.password)
    record.attempts(flow["id"])

    view = native.http.get(f"/api/flows/{flow['id']}").json()

    assert view["error"] == {"step": "account_status_check", "code": "email_not_verified"}
    assert states(view)["password_verification"] == "completed"


def test_the_login_page_itself_is_recorded_like_any_form(stack, member, record):
    """What a person does: follow the page, fill it in, be sent on."""
    with httpx.Client(base_url=stack.edge_url, headers=HTML, timeout=30) as browser:
        page = browser.get("/self-service/login/browser", follow_redirects=True)
        form = BeautifulSoup(page.text, "html.parser").select_one("form[action*='login?flow=']")
        hidden = {field["name"]: field.get("value", "") for field in form.select("input[name]")}
        filled = {**hidden, "identifier": member.email, "password": member.password}
        answer = browser.post(form["action"], data={**filled, "method": "password"})
        assert answer.status_code == 303

    [attempt] = record.attempts(form["action"].partition("flow=")[2])
    assert attempt["outcome"] == "success"


def test_attempts_are_written_while_the_edge_runs_so_that_a_kill_takes_none_of_them(
    native, record, stack, eventually
):
    flow = native.start()
    for _ in range(5):
        native.submit(flow, identifier="nobody@example.test", password="Wrong-Horse-1")
    record.attempts(flow["id"], 5)

    stack.kill("edge")

    assert len(record.attempts(flow["id"], 5)) == 5
    eventually(lambda: is_up(stack))


def is_up(stack) -> bool:
    try:
        return httpx.get(f"{stack.edge_url}/health/ready", timeout=30).is_success
    except httpx.TransportError:
        return False


def test_harmless_submits_of_the_same_form_hide_no_guess(stack, member, record):
    """Both are only sent back to the page: what the page then shows must be of each alone."""
    browser = Client(stack, "form", "form")
    flow = browser.start()
    cookies = dict(browser.http.cookies)
    nodes = (node["attributes"] for node in flow["ui"]["nodes"])
    token = next(node["value"] for node in nodes if node.get("name") == "csrf_token")

    def send(password: str) -> None:
        form = {
            "method": "password",
            "csrf_token": token,
            "identifier": member.email,
            "password": password,
        }
        with httpx.Client(headers=HTML, cookies=cookies, timeout=30) as one:
            assert one.post(flow["ui"]["action"], data=form).status_code == 303

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, ["Wrong-Horse-1", "", "Wrong-Horse-2", "", "Wrong-Horse-3", ""]))
    browser.http.close()

    outcomes = [attempt["outcome"] for attempt in record.attempts(flow["id"], 6)]
    assert sorted(outcomes) == ["validation"] * 3 + ["wrong_credentials"] * 3


def test_guesses_over_another_browsers_flow_count_too(stack, member, record):
    """Kratos compares the token with the cookie alone: any flow will do for a guess."""
    victim, guesser = Client(stack, "form", "form"), Client(stack, "form", "form")
    foreign, own = victim.start(), guesser.start()
    own["ui"]["action"] = foreign["ui"]["action"]

    answer = guesser.submit(own, identifier=member.email, password="Wrong-Horse-1")
    victim.http.close()
    guesser.http.close()

    assert answer.status_code == 303
    [attempt] = record.attempts(foreign["id"])
    assert (attempt["outcome"], attempt["code"]) == ("wrong_credentials", "outcome_unreadable")
