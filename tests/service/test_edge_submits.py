"""What the edge does around one submit, against a Kratos that remembers what it was asked."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg
import pytest
from aiohttp import web

from tests.edge_stage import Answered, Upstream, ask, edge_running, settings_for, upstream_running

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WHO = UUID("7f8f5a1e-6c0e-4f5a-9f43-0b7c55a1d0aa")


class Kratos(Upstream):
    """Knows one person, refuses every registration, and takes every change of settings."""

    async def do_sessions_whoami(self, request):
        session = {
            "id": str(uuid4()),
            "authenticated_at": "2026-11-25T12:00:00Z",
            "expires_at": "2036-11-25T12:00:00Z",
            "authenticator_assurance_level": "aal1",
            "identity": {"traits": {"email": "ada@example.test", "username": "ada-77"}},
        }
        headers = {"X-Kratos-Authenticated-Identity-Id": str(WHO)}
        return web.json_response(session, headers=headers)

    async def do_self_service_settings(self, request):
        return web.json_response({"state": "success"})

    async def do_self_service_registration(self, request):
        location = f"https://id.example.test/registration?flow={request.query['flow']}"
        return web.Response(status=303, headers={"Location": location})

    async def do_self_service_registration_flows(self, request):
        message = {"id": 4000007, "type": "error", "text": "exists already"}
        return web.json_response({"ui": {"messages": [message], "nodes": []}})

    def asked(self, path: str) -> int:
        return sum(seen["target"].partition("?")[0] == path for seen in self.seen)


@pytest.fixture
def kratos() -> Iterator[Kratos]:
    with upstream_running(Kratos()) as running:
        assert isinstance(running, Kratos)
        yield running


@pytest.fixture
def edge(kratos, database_url) -> Iterator[int]:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into members (identity_id, status, role, status_changed_at, registered_at)"
            " values (%s, 'active', 'user', now(), now()) on conflict do nothing",
            (WHO,),
        )
    changes = {"database_url": database_url, "forward_timeout": "PT5S"}
    with edge_running(settings_for(kratos.port, **changes)) as port:
        yield port


def change(port: int, **traits: str) -> Answered:
    body = json.dumps({"method": "profile", "traits": traits}).encode()
    return ask(port, "POST", f"/self-service/settings?flow={uuid4()}", headers=JSON, body=body)


def test_a_new_address_in_settings_is_mailed_no_oftener_than_any_code(edge, kratos):
    same, other = "ada@example.test", "new@example.test"
    assert [change(edge, email=same, username=name).status for name in ("ada-1", "ada-2")] == [
        200,
        200,
    ]
    assert change(edge, email=same, pending_email=other).status == 200
    asked = kratos.asked("/self-service/settings")

    refused = change(edge, email=same, pending_email=f"x-{other}")

    assert refused.status == 429
    assert refused.json()["type"] == "urn:kleis:problem:too_many_requests"
    assert refused.header("ratelimit-policy").startswith('"mail"')
    assert kratos.asked("/self-service/settings") == asked
    assert change(edge, email=same, username="ada-3").status == 200


def test_a_refused_form_is_read_once_for_all_who_want_to_know(edge, kratos, database_url):
    flow = uuid4()
    fields = {"method": "password", "password": "Correct-Horse-1", "traits.email": "a@b.test"}
    cookie = {"Cookie": "csrf_token_x=1"}
    answer = ask(
        edge,
        "POST",
        f"/self-service/registration?flow={flow}",
        headers=FORM | cookie,
        body=urlencode(fields).encode(),
    )

    assert answer.status == 303
    assert kratos.asked("/self-service/registration/flows") == 1
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select state, error ->> 'code' from flows where flow_id = %s", (flow,)
        ).fetchone()
    assert row == ("failed", "kratos_4000007")
