"""Kratos asks whether an account may be changed: over HTTP, on a real database."""

from uuid import uuid4

import pytest
from sqlalchemy import update

from integration.db.tables import Member


@pytest.fixture
def identity_id(hooks, traits):
    """An active member."""
    known = str(uuid4())
    body = {"flow_id": str(uuid4()), "identity_id": known, "traits": traits, "verified": True}
    assert hooks.post("/hooks/registration/completed", json=body).status_code == 204
    return known


def ask(hooks, identity_id, traits, **changes):
    before = traits | {"pending_email": ""}
    body = {
        "flow_id": str(uuid4()),
        "identity_id": identity_id,
        "traits": before | changes,
        "traits_before": before,
        "addresses_before": [],
    }
    return hooks.post("/hooks/settings/traits/submitted", json=body)


def refusal_of(answer):
    [field] = answer.json()["messages"]
    return field["instance_ptr"], field["messages"][0]["context"]["code"]


def test_an_active_member_may_change_a_name(hooks, identity_id, traits):
    assert ask(hooks, identity_id, traits, first_name="Augusta").status_code == 204


def test_nobody_sets_an_address_that_is_not_proven(hooks, identity_id, traits):
    answer = ask(hooks, identity_id, traits, pending_email="eve@example.test")

    assert answer.status_code == 400
    assert refusal_of(answer) == ("#/traits/pending_email", "pending_email")


def test_a_new_address_waits_while_the_old_one_stays_verified(hooks, identity_id, traits):
    known = {"value": traits["email"], "via": "email", "verified": True, "status": "completed"}
    before = traits | {"pending_email": ""}
    body = {
        "flow_id": str(uuid4()),
        "identity_id": identity_id,
        "traits": before | {"email": "Eve@example.test", "first_name": "Eve"},
        "traits_before": before,
        "addresses_before": [known | {"verified_at": None}],
    }

    answer = hooks.post("/hooks/settings/traits/submitted", json=body)

    assert answer.status_code == 200
    given = {name: value for name, value in traits.items() if value}
    assert answer.json()["identity"] == {
        "traits": given | {"first_name": "Eve", "pending_email": "eve@example.test"},
        "verifiable_addresses": [known],
    }


@pytest.mark.parametrize("method", ["", "/password"])
def test_no_other_method_brings_another_address(hooks, identity_id, traits, method):
    before = traits | {"pending_email": ""}
    body = {
        "flow_id": str(uuid4()),
        "identity_id": identity_id,
        "traits": before | {"email": "eve@example.test"},
        "traits_before": before,
    }
    if method:
        body["attempt"] = ""
    answer = hooks.post(f"/hooks/settings{method}/submitted", json=body)

    assert answer.status_code == 400
    assert "email_change" in answer.text


@pytest.mark.parametrize("status", ["suspended", "banned", "deactivated", "deleted"])
def test_whoever_is_shut_out_changes_nothing_by_a_session_that_is_left(
    hooks, services, identity_id, traits, status
):
    with services.transaction() as session:
        session.execute(update(Member).values(status=status))

    answer = ask(hooks, identity_id, traits)

    assert answer.status_code == 400
    assert refusal_of(answer) == ("#/", f"account_{status}")


def test_an_identity_without_a_member_changes_nothing_yet(hooks, traits):
    answer = ask(hooks, str(uuid4()), traits)

    assert refusal_of(answer) == ("#/", "account_not_ready")
