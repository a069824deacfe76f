"""Somebody registered with an address of somebody else, whose owner then recovers the account."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from ory_client.exceptions import BadRequestException


@pytest.fixture
def client(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.edge_url, timeout=30) as made:
        yield made


def recover(client: httpx.Client, person: Any, *, nth: int) -> str:
    """Recover by the nth code in the mailbox; return the session token."""
    flow = client.get("/self-service/recovery/api").json()["ui"]["action"]
    client.post(flow, json={"method": "code", "email": person.email})
    answer = client.post(flow, json={"method": "code", "code": person.code(nth=nth)})
    assert answer.status_code == 200, answer.text
    return next(
        step["ory_session_token"]
        for step in answer.json()["continue_with"]
        if step["action"] == "set_ory_session_token"
    )


def set_password(client: httpx.Client, token: str) -> str:
    headers = {"X-Session-Token": token}
    flow = client.get("/self-service/settings/api", headers=headers).json()
    password = f"Correct-Horse-{secrets.token_hex(4)}"
    body = {"method": "password", "password": password}
    answer = client.post(flow["ui"]["action"], json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return password


def undone(stack: Any, person: Any) -> int:
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "select count(*) from outbox where identity_id = %s and done_at is null"
            " and lane <> 'event'",
            (person.identity_id,),
        ).fetchone()
    return row[0]


def test_the_password_of_whoever_registered_does_not_work_after_the_owners_recovery(
    stack, person, client, eventually
):
    person.register()
    person.code()

    token = recover(client, person, nth=2)

    # At once, not only when the worker comes to it.
    with pytest.raises(BadRequestException):
        person.log_in()
    eventually(lambda: undone(stack, person) == 0)
    with pytest.raises(BadRequestException) as refused:
        person.log_in()
    assert "4000006" in refused.value.body
    assert person.me(token).json()["status"] == "active"

    person.password = set_password(client, token)
    assert person.me(person.log_in()).json()["email"] == person.email


def test_a_password_that_the_owner_sets_at_once_is_kept(stack, person, client, eventually):
    person.register()
    person.code()
    person.password = set_password(client, recover(client, person, nth=2))
    assert person.log_in()
    eventually(lambda: undone(stack, person) == 0)
    assert person.log_in()


def test_whoever_verified_the_address_keeps_the_password_through_a_recovery(person, client):
    person.register()
    person.verify()
    recover(client, person, nth=2)
    assert person.log_in()


def test_links_to_providers_that_came_before_the_owner_go_too(
    stack, person, client, admin, eventually
):
    config = {"providers": [{"provider": "demo", "subject": f"eve-{person.username}"}]}
    made = admin.post(
        "/admin/identities",
        json={
            "schema_id": "member",
            "traits": {"email": person.email, "username": person.username},
            "credentials": {
                "password": {"config": {"password": person.password}},
                "oidc": {"config": config},
            },
        },
    )
    assert made.status_code == 201, made.text
    person.identity_id = made.json()["id"]

    recover(client, person, nth=1)
    eventually(lambda: undone(stack, person) == 0)

    query = {"include_credential": "oidc"}
    identity = admin.get(f"/admin/identities/{person.identity_id}", params=query).json()
    assert not identity["credentials"].get("oidc", {}).get("identifiers")
    with pytest.raises(BadRequestException):
        person.log_in()
