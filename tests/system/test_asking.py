"""Members and services ask about permissions, on the real stack."""

import httpx
import pytest

SOMEBODY = "3b1f8a54-6f5e-4c5f-8f60-2c8a3b8f2f10"


@pytest.fixture
def member(person, eventually, admin):
    person.register()
    person.verify()
    eventually(lambda: about(admin, person)["allowed"])
    return person


def about(client, person, permission="content.read"):
    body = {"subject": person.identity_id, "permission": permission}
    answer = client.post("/api/permissions/check", json=body)
    return answer.json() if answer.status_code == 200 else {"allowed": False}


def epoch_of(answer):
    return [int(part) for part in answer["epoch"].split(".")]


def ask(stack, headers, **question):
    url = f"{stack.edge_url}/api/permissions/check"
    return httpx.post(
        url, json=question or {"permission": "content.read"}, headers=headers, timeout=30
    )


def bearer(stack, session):
    answer = httpx.post(f"{stack.edge_url}/api/tokens", headers=session, timeout=30)
    assert answer.status_code in (200, 201), answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_member_asks_with_its_session_or_an_access_token_until_the_session_ends(stack, member):
    session = {"X-Session-Token": member.log_in()}
    token = bearer(stack, session)

    for headers in (session, token):
        assert ask(stack, headers).json()["allowed"] is True
        theirs = ask(stack, headers, subject=SOMEBODY, permission="content.read")
        assert theirs.status_code == 403

    httpx.request(
        "DELETE",
        f"{stack.edge_url}/self-service/logout/api",
        json={"session_token": session["X-Session-Token"]},
        timeout=30,
    ).raise_for_status()
    for headers in (session, token):
        assert ask(stack, headers).status_code == 401


def test_a_token_that_was_tampered_with_is_none(stack, member):
    token = bearer(stack, {"X-Session-Token": member.log_in()})["Authorization"]

    assert ask(stack, {"Authorization": token[:-4] + "AAAA"}).status_code == 401


def test_a_suspension_is_in_every_answer_at_once(stack, member, admin):
    state = [{"op": "replace", "path": "/state", "value": "inactive"}]
    admin.patch(f"/admin/identities/{member.identity_id}", json=state).raise_for_status()

    body = {"subject": member.identity_id, "permission": "content.read"}
    explained = admin.post("/api/permissions/explain", json=body).json()
    listed = admin.get(f"/api/permissions/{member.identity_id}").json()

    checked = about(admin, member)
    # What the suspension brings about may move it on between two questions.
    assert epoch_of(checked) >= epoch_of(explained)
    assert (checked["allowed"], checked["reason"]) == (False, "gate_closed")
    assert checked["until"] is None
    assert (explained["allowed"], explained["paths"]) == (False, [])
    assert (listed["status"], listed["permissions"]) == ("suspended", [])


def test_a_role_is_explained(member, admin):
    body = {"subject": member.identity_id, "permission": "content.read"}
    explained = admin.post("/api/permissions/explain", json=body).json()

    assert explained["allowed"] is True
    assert explained["reason"] == "role"
    assert "has the role user" in explained["paths"][0]["text"]
