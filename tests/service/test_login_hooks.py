"""Kratos asks whether somebody with the right credentials may come in."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from integration.db.tables import Member


@pytest.fixture
def member(hooks, services, traits):
    """Return a function that puts a new member into a state."""

    def make(status: str) -> UUID:
        identity_id = uuid4()
        body = {
            "flow_id": str(uuid4()),
            "identity_id": str(identity_id),
            "traits": traits,
            "verified": True,
        }
        hooks.post("/hooks/registration/completed", json=body)
        with services.transaction() as session:
            session.execute(update(Member).values(status=status))
        return identity_id

    return make


def ask(hooks, flow, identity_id):
    body = {"flow_id": str(uuid4()), "identity_id": str(identity_id)}
    return hooks.post(f"/hooks/{flow}/submitted", json=body)


def code_of(answer):
    return answer.json()["messages"][0]["messages"][0]["context"]["code"]


def test_an_active_member_may_log_in(hooks, member):
    assert ask(hooks, "login", member("active")).status_code == 204


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("pending_registration", "email_not_verified"),
        ("pending_verification", "email_not_verified"),
        ("expired", "email_not_verified"),
        ("provisional", "profile_incomplete"),
        ("suspended", "account_suspended"),
        ("banned", "account_banned"),
        ("deactivated", "account_deactivated"),
        ("deleted", "account_deleted"),
    ],
)
def test_everybody_else_is_told_why_not(hooks, member, status, code):
    answer = ask(hooks, "login", member(status))

    assert answer.status_code == 400
    assert code_of(answer) == code


def test_an_identity_without_a_member_is_kept_out(hooks):
    answer = ask(hooks, "login", uuid4())

    assert answer.status_code == 400
    assert code_of(answer) == "account_not_ready"


@pytest.mark.parametrize("status", ["pending_verification", "expired", "active"])
def test_who_may_come_back_may_recover(hooks, member, status):
    assert ask(hooks, "recovery", member(status)).status_code == 204


@pytest.mark.parametrize("status", ["suspended", "banned", "deactivated", "deleted"])
def test_who_is_shut_out_cannot_recover(hooks, member, status):
    assert ask(hooks, "recovery", member(status)).status_code == 400
