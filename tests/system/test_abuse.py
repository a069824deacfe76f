"""Clients that are up to something, against the whole stack."""

import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest

CLAIMS = (
    "True-Client-IP",
    "Cf-Connecting-IP",
    "X-Real-IP",
    "X-Forwarded-For",
    "Cf-Ipcity",
    "Cf-Ipcountry",
)


@pytest.fixture
def token(person) -> str:
    person.register()
    person.verify()
    return person.log_in()


def test_a_settings_submit_by_get_changes_nothing(stack, person, token):
    """Kratos itself takes it: a link could change a password."""
    headers = {"X-Session-Token": token}
    flow = httpx.get(
        f"{stack.edge_url}/self-service/settings/api", headers=headers, timeout=30
    ).json()

    answer = httpx.get(
        f"{stack.edge_url}/self-service/settings",
        params={"flow": flow["id"], "method": "password", "password": "Quite-Another-1"},
        headers=headers,
        timeout=30,
    )

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:kleis:problem:submit_by_get"
    assert person.log_in()


@pytest.mark.parametrize(
    "path",
    [
        "//admin/identities",
        "/./admin/identities",
        "/self-service/../admin/identities",
        "/self-service/%2e%2e/admin/identities",
        "/admin%2Fidentities",
        "/%61dmin/identities",
        "/self-service//login/api",
        "/sessions/whoami/",
        "/admin;x=1/identities",
        "/sessions\\whoami",
    ],
)
def test_a_path_that_is_not_canonical_is_refused(stack, path):
    # By hand: every HTTP client worth its name would put the path right first.
    address = urlsplit(stack.edge_url)
    with closing(HTTPConnection(address.hostname, address.port, timeout=10)) as connection:
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        body = json.loads(answer.read())

    assert answer.status == 400
    assert body["type"] == "urn:kleis:problem:path_not_canonical"


def test_what_a_client_says_of_its_address_is_believed_by_nobody(stack, person):
    person.register()
    person.verify()
    lies = dict.fromkeys(CLAIMS, "203.0.113.7")
    lies |= {"X-Forwarded-Host": "evil.example", "Forwarded": "for=203.0.113.7"}
    with httpx.Client(base_url=stack.edge_url, headers=lies, timeout=30) as client:
        flow = client.get("/self-service/login/api").json()
        body = {
            "method": "password",
            "identifier": person.email,
            "password": person.password,
        }
        answer = client.post("/self-service/login", params={"flow": flow["id"]}, json=body)

    assert answer.status_code == 200
    [device] = answer.json()["session"]["devices"]
    assert device["ip_address"] == "127.0.0.1"
    assert not device.get("location")
    assert "evil.example" not in answer.text


def test_a_body_of_ten_megabytes_is_refused(stack):
    flow = httpx.get(f"{stack.edge_url}/self-service/registration/api", timeout=30).json()
    answer = httpx.post(
        f"{stack.edge_url}/self-service/registration",
        params={"flow": flow["id"]},
        content=b"{" + b" " * 10_000_000 + b"}",
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b'{"method":', "malformed_body", id="malformed"),
        pytest.param(
            b'{"method":"password","password":"a","password":"b"}', "ambiguous_body", id="doubled"
        ),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_or_none_is_refused(stack, body, code):
    flow = httpx.get(f"{stack.edge_url}/self-service/registration/api", timeout=30).json()
    answer = httpx.post(
        f"{stack.edge_url}/self-service/registration",
        params={"flow": flow["id"]},
        content=body,
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 400
    assert answer.json()["type"] == f"urn:kleis:problem:{code}"


def test_an_email_with_control_characters_is_refused(person, stack):
    flow = httpx.get(f"{stack.edge_url}/self-service/registration/api", timeout=30).json()
    answer = httpx.post(
        f"{stack.edge_url}/self-service/registration",
        params={"flow": flow["id"]},
        json={
            "method": "password",
            "password": person.password,
            "traits": {"email": "ada@example.test\r\nBcc: x@example.test", "username": "adaada"},
        },
        timeout=30,
    )
    assert answer.status_code == 400
    assert "ui" in answer.json()


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": "Bearer kleis_0000000000000000_x"}, id="unknown"),
        pytest.param({"Authorization": "Bearer"}, id="empty"),
        pytest.param({"Authorization": "Basic a2xlaXM6a2xlaXM="}, id="another-scheme"),
        pytest.param({"X-Kleis-Key": "anything"}, id="invented"),
    ],
)
def test_admin_paths_are_closed_without_a_key(stack, credentials):
    for path in ("/admin/identities", "/admin/relation-tuples", "/namespaces", "/admin/sessions"):
        answer = httpx.get(stack.edge_url + path, headers=credentials, timeout=30)
        assert answer.status_code in {401, 405}, path


def test_a_key_opens_only_what_its_scopes_say(stack):
    made = stack.run("key", "create", "--scope", "identities:read", "--name", "reader")
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    with httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30) as reader:
        assert reader.get("/admin/identities").status_code == 200
        assert reader.post("/admin/identities", json={}).status_code == 403
        assert reader.get("/namespaces").status_code == 403

    key_id = made.stdout.split("_")[1]
    assert stack.run("key", "revoke", key_id).returncode == 0


def test_the_logs_know_no_secret_and_no_trait(stack, person, token):
    code = person.code()
    for name in ("edge", "service", "worker"):
        log = stack.log(name)
        for secret in (person.email, person.username, person.password, token, code):
            assert secret not in log, name
