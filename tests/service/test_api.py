"""Our API where Kratos and Keto do not answer: it says so, and tells nothing else."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

from fastapi.testclient import TestClient

from integration.db import api_keys
from integration.service import make_api


def test_it_is_alive_but_not_ready(api):
    assert api.get("/health/alive").json() == {"status": "ok"}

    answer = api.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "missing" not in answer.json()


def test_what_is_missing_is_told_to_operators_alone(api, services):
    with services.transaction() as session:
        token = api_keys.create(
            session,
            name="monitoring",
            scopes=frozenset({"operations:read"}),
            expires_at=None,
            now=services.now(),
        )

    answer = api.get("/health/ready", headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["missing"] == ["kratos", "keto"]


def test_however_many_ask_the_parts_are_asked_now_and_then(services):
    """Anybody may ask, and each time four parts would have to answer."""
    asked = []
    counting = replace(services, check_broker=lambda: asked.append(None))

    with TestClient(make_api(counting)) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/health/ready"), range(60)))

    assert {answer.status_code for answer in answers} == {503}
    assert 1 <= len(asked) < 15


def test_nobody_is_somebody_without_credentials(api):
    answer = api.get("/api/me")
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:kleis:problem:unauthenticated"


def test_credentials_that_cannot_be_checked_are_not_believed(api):
    answer = api.get("/api/me", headers={"X-Session-Token": "ory_st_x"})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:kleis:problem:upstream_unavailable"
    assert "127.0.0.1" not in answer.text


def test_an_id_that_is_none_is_a_typed_problem(api):
    answer = api.get("/api/flows/not-a-uuid")
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("#/flow_id", "uuid_parsing")
    assert error["detail"]


def test_a_flow_nobody_knows_is_not_found_by_an_operator_either(api, services):
    with services.transaction() as session:
        token = api_keys.create(
            session,
            name="admin",
            scopes=frozenset({"identities:read"}),
            expires_at=services.now(),
            now=services.now(),
        )
    answer = api.get(f"/api/flows/{uuid4()}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 503, "Kratos would have to be asked, for the key has expired"


def test_a_path_that_is_not_there_is_a_problem_too(api):
    answer = api.get("/api/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
