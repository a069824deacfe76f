"""Ways to somebody else's account, or to what is told to nobody, tried on the whole stack."""

import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

JSON = {"accept": "application/json"}


def register(stack, **traits) -> httpx.Response:
    flow = httpx.get(f"{stack.edge_url}/self-service/registration/api", timeout=30).json()
    return httpx.post(
        f"{stack.edge_url}/self-service/registration",
        params={"flow": flow["id"]},
        json={"method": "password", "password": "Correct-Horse-77", "traits": traits},
        timeout=30,
    )


def change(stack, token, **traits) -> httpx.Response:
    headers = {"X-Session-Token": token}
    flow = httpx.get(
        f"{stack.edge_url}/self-service/settings/api", headers=headers, timeout=30
    ).json()
    return httpx.post(
        f"{stack.edge_url}/self-service/settings",
        params={"flow": flow["id"]},
        headers=headers,
        json={"method": "profile", "traits": traits},
        timeout=30,
    )


def codes(answer: httpx.Response) -> set[str]:
    """Return our codes of the refusals in a flow."""
    assert answer.status_code == 400, answer.text
    ui = answer.json()["ui"]
    messages = [*ui.get("messages", []), *(m for node in ui["nodes"] for m in node["messages"])]
    return {message["context"]["code"] for message in messages if "code" in message["context"]}


@pytest.fixture
def token(person) -> str:
    person.register()
    person.verify()
    return person.log_in()


# Addresses


def test_an_address_is_kept_from_its_owner_by_nobody(
    stack, person, another_person, token, eventually
):
    """Kratos would reserve a second address that nobody has proven."""
    names = {"email": person.email, "username": person.username}
    stranger = {"email": f"x{person.email}", "username": f"x{person.username}"}
    wanted = another_person.email

    assert codes(register(stack, **stranger, pending_email=wanted)) == {"pending_email"}
    assert codes(change(stack, token, **names, pending_email=wanted)) == {"pending_email"}
    # Asking for it is allowed, but holds it only until its owner comes.
    assert change(stack, token, **names | {"email": wanted}).status_code == 200

    another_person.register()
    another_person.verify()
    assert person.me(token).json()["email"] == person.email
    told = "could not be changed"
    eventually(lambda: [mail for mail in person.mails() if told in mail["subject"]])
    headers = {"X-Session-Token": token}
    view = httpx.get(f"{stack.edge_url}/api/me/email", headers=headers, timeout=30).json()
    assert view["pending"] is None


def test_who_changes_other_things_keeps_the_address(stack, person, token):
    answer = change(
        stack, token, email=person.email, username=person.username, first_name="Augusta"
    )

    assert answer.status_code == 200
    assert person.me(token).json()["first_name"] == "Augusta"


# What Kratos or PostgreSQL would break on


@pytest.mark.parametrize("length", [31, 1025, 5000])
def test_a_username_of_any_length_is_refused_in_the_flow(stack, another_person, length):
    answer = register(stack, email=another_person.email, username="a" * length)

    assert answer.status_code == 400
    nodes = {node["attributes"].get("name"): node for node in answer.json()["ui"]["nodes"]}
    assert nodes["traits.username"]["messages"]


def test_a_nul_is_refused_before_it_reaches_a_database(stack, another_person):
    answer = register(stack, email=another_person.email, username="ada\0ada")

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:kleis:problem:malformed_body"


def test_odd_metadata_neither_shuts_a_member_out_nor_stops_the_reconciler(
    stack, person, token, admin
):
    """Kratos takes any JSON there: the edge does not, and what came past it is put right."""
    path = f"/admin/identities/{person.identity_id}"
    odd = [{"op": "add", "path": "/metadata_public", "value": ["odd"]}]
    assert admin.patch(path, json=odd).status_code == 400

    past_the_edge = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KRATOS_ADMIN']}{path}"
    assert httpx.patch(past_the_edge, json=odd, timeout=30).status_code == 200

    assert person.me(token).status_code == 200
    stack.run("doctor", "--repair")
    wanted = {"status": "active", "role": "user"}
    assert admin.get(path).json()["metadata_public"] == wanted


# Keys


def test_a_key_that_may_read_cannot_become_a_member(stack, person, token):
    made = stack.run("key", "create", "--scope", "identities:read", "--name", "reader")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    with httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30) as reader:
        path = f"/admin/identities/{person.identity_id}"
        assert reader.get(path).status_code == 200
        for credential in ("password", "totp", "oidc", "lookup_secret"):
            answer = reader.get(path, params={"include_credential": credential})
            assert answer.status_code == 403, credential
        assert reader.get("/admin/courier/messages").status_code == 403


# What is written down


def test_no_server_logs_who_registered_twice(stack, person, token):
    answer = register(stack, email=person.email, username=f"x{person.username}")
    assert answer.status_code == 400
    time.sleep(0.2)

    for name in ("postgres", "kratos", "keto", "edge", "service"):
        assert person.email not in stack.log(name), name


def test_a_wish_for_a_web_socket_leaves_no_query_in_the_log(stack):
    address = urlsplit(stack.edge_url)
    lines = (
        "GET /verification?code=271828 HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        assert connection.recv(16).startswith(b"HTTP/1.1 ")

    assert "271828" not in stack.log("edge")
    assert "271828" not in stack.log("service")
