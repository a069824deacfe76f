"""Kratos tells of a registration: over HTTP, on a real database."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from integration.db import flows, members
from integration.db.tables import LifecycleEvent, Member, OutboxEffect, RecommendationProfile
from integration.service import make_hooks

SECRET = {"X-Kleis-Hook-Secret": "a-hook-secret-for-tests"}


def completed(traits, **changes):
    body = {
        "flow_id": str(uuid4()),
        "identity_id": str(uuid4()),
        "traits": traits,
        "verified": False,
    }
    return body | changes


def effects_of(services, lane):
    with services.transaction() as session:
        rows = session.scalars(
            select(OutboxEffect).where(OutboxEffect.lane == lane).order_by(OutboxEffect.seq)
        )
        return [(row.kind, row.payload) for row in rows]


def test_an_ordinary_registration_is_let_through_with_its_first_state(hooks, traits):
    body = {"flow_id": str(uuid4()), "traits": traits | {"pending_email": ""}}

    answer = hooks.post("/hooks/registration/submitted", json=body)

    assert answer.status_code == 200
    assert answer.json() == {
        "identity": {"metadata_public": {"status": "pending_verification", "role": "user"}}
    }


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        pytest.param(
            {"username": "admin"}, "#/traits/username", "username_reserved", id="reserved"
        ),
        pytest.param(
            {"username": "adm1n"}, "#/traits/username", "username_lookalike", id="look-alike"
        ),
        pytest.param(
            {"username": "\u0430dmin"}, "#/traits/username", "username_characters", id="cyrillic"
        ),
        pytest.param({"username": "ab"}, "#/traits/username", "username_too_short", id="short"),
        pytest.param(
            {"email": "ada@mailinator.com"}, "#/traits/email", "email_disposable", id="throw-away"
        ),
        pytest.param(
            {"email": "ada\r\nBcc: x@example.test"}, "#/traits/email", "email_format", id="control"
        ),
        pytest.param(
            {"pending_email": "eve@example.test"},
            "#/traits/pending_email",
            "pending_email",
            id="somebody-elses-address",
        ),
    ],
)
def test_a_refusal_stands_at_the_field_in_kratos_form(hooks, traits, change, pointer, code):
    body = {"flow_id": str(uuid4()), "traits": traits | {"pending_email": ""} | change}

    answer = hooks.post("/hooks/registration/submitted", json=body)

    assert answer.status_code == 400
    [field] = answer.json()["messages"]
    assert field["instance_ptr"] == pointer
    [message] = field["messages"]
    assert message["context"] == {"code": code}
    assert message["type"] == "error"
    assert message["id"] > 9_400_000


def test_a_completed_registration_makes_the_whole_member(hooks, services, traits, clock):
    body = completed(traits)

    assert hooks.post("/hooks/registration/completed", json=body).status_code == 204

    with services.transaction() as session:
        [member] = session.scalars(select(Member))
        assert (member.status, member.role) == ("pending_verification", "user")
        assert member.registered_at == clock.now
        assert (member.last_login_at, member.login_count) == (None, 0)
        profile = members.profile(session, member.identity_id)
        assert profile.display_name == traits["username"]
        assert (profile.bio, profile.is_public) == ("", True)
        assert profile.notifications == {"email": True, "push": False, "sms": False}
        assert profile.privacy == {
            "show_email": False,
            "show_activity": True,
            "allow_messages": True,
        }
        assert session.get(RecommendationProfile, member.identity_id) is not None
        flow = flows.get(session, member.registration_flow_id)
        states = {step["name"]: step["state"] for step in flow.steps}
    assert states.pop("email_verification") == "waiting"
    assert set(states.values()) == {"completed"}
    [(kind, payload)] = effects_of(services, "event")
    assert kind == "publish_event"
    assert payload["name"] == "member.registered"
    assert payload["facts"] == {"default_playlists": True, "default_channels": False}


def test_the_same_registration_told_twice_counts_once(hooks, services, traits):
    body = completed(traits)

    for _ in range(2):
        assert hooks.post("/hooks/registration/completed", json=body).status_code == 204

    assert len(effects_of(services, "event")) == 1
    with services.transaction() as session:
        assert len(session.scalars(select(LifecycleEvent)).all()) == 2


def test_the_same_registration_told_eight_times_at_once_counts_once(hooks, services, traits):
    body = completed(traits)

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: hooks.post("/hooks/registration/completed", json=body), range(8))
        )

    assert {answer.status_code for answer in answers} == {204}
    assert len(effects_of(services, "event")) == 1


def test_a_failed_commit_is_not_reported_as_recorded(services, traits):
    """Kratos must see a failure, or the person would be told that all is well."""

    @event.listens_for(services.session_factory, "before_commit")
    def fail(_: Session) -> None:
        raise OSError("the database went away")

    with TestClient(make_hooks(services), headers=SECRET, raise_server_exceptions=False) as client:
        answer = client.post("/hooks/registration/completed", json=completed(traits))

    event.remove(services.session_factory, "before_commit", fail)
    assert answer.status_code == 500
    with services.transaction() as session:
        assert session.scalars(select(Member)).all() == []


def test_a_verified_address_activates_and_asks_for_everything_that_follows(
    hooks, services, traits, rung
):
    body = completed(traits)
    hooks.post("/hooks/registration/completed", json=body)
    rung.clear()

    answer = hooks.post("/hooks/verification/completed", json=body | {"verified": True})

    assert answer.status_code == 204
    with services.transaction() as session:
        [member] = session.scalars(select(Member))
        assert member.status == "active"
        flow = flows.get(session, member.registration_flow_id)
        assert flow.state == "completed"
    assert effects_of(services, "authority") == [("sync_authority", {})]
    assert effects_of(services, "identity") == [("sync_identity", {"enable": False})]
    assert effects_of(services, "mail") == [("send_mail", {"template": "welcome"})]
    assert len(rung) == 4


def test_a_verification_told_three_times_welcomes_once(hooks, services, traits):
    body = completed(traits, verified=True)

    for _ in range(3):
        hooks.post("/hooks/verification/completed", json=body)

    assert effects_of(services, "mail") == [("send_mail", {"template": "welcome"})]


def test_a_verification_whose_registration_was_never_told_makes_the_member_too(
    hooks, services, traits
):
    hooks.post("/hooks/verification/completed", json=completed(traits, verified=True))

    with services.transaction() as session:
        [member] = session.scalars(select(Member))
    assert member.status == "active"


def test_a_completed_recovery_verifies_as_well(hooks, services, traits):
    body = completed(traits)
    hooks.post("/hooks/registration/completed", json=body)
    del body["verified"]

    assert hooks.post("/hooks/recovery/completed", json=body).status_code == 204

    with services.transaction() as session:
        [member] = session.scalars(select(Member))
    assert member.status == "active"


@pytest.mark.parametrize("secret", ["", "wrong", "a-hook-secret-for-testS", "ключ"])
def test_an_unknown_secret_is_refused_before_the_body_is_read(hooks, services, secret):
    answer = hooks.post(
        "/hooks/registration/completed",
        json={"anything": 1},
        headers={"X-Kleis-Hook-Secret": secret.encode()},
    )

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:kleis:problem:unauthenticated"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda body: body.pop("identity_id"), id="missing"),
        pytest.param(lambda body: body.update(role="admin"), id="extra"),
        pytest.param(lambda body: body["traits"].update(role="admin"), id="extra-trait"),
        pytest.param(lambda body: body.update(identity_id="not-a-uuid"), id="wrong-type"),
    ],
)
def test_a_body_of_another_shape_is_refused_and_nothing_is_kept(hooks, services, traits, spoil):
    body = completed(dict(traits))
    spoil(body)

    answer = hooks.post("/hooks/registration/completed", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert traits["email"] not in answer.text
    with services.transaction() as session:
        assert session.scalars(select(Member)).all() == []


def test_a_body_that_is_no_json_is_refused(hooks):
    answer = hooks.post(
        "/hooks/registration/completed",
        content=b'{"flow_id":',
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 422
