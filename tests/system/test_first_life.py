"""A member's first life with an unmodified Ory SDK: real Kratos, Keto, PostgreSQL and Valkey."""

import httpx
import pytest
from ory_client.exceptions import BadRequestException, UnauthorizedException

SUBJECTS = ("Your code to confirm your e-mail address", "Welcome, ")


def messages(error: BadRequestException) -> dict[str, tuple[int, str]]:
    """Return `{where: (id, code)}` of a refused flow: field names, or "" for the whole form."""
    found = {}
    for message in error.data.ui.messages or []:
        found[""] = (message.id, (message.context or {}).get("code"))
    for node in error.data.ui.nodes:
        for message in node.messages:
            name = node.attributes.actual_instance.name
            found[name] = (message.id, (message.context or {}).get("code"))
    return found


def test_register_verify_log_in_and_be_somebody(person, permissions, eventually):
    answer = person.register(first_name="Ada", display_name="Ada L.")
    assert answer.identity.metadata_public == {"status": "pending_verification", "role": "user"}
    assert not answer.session_token

    assert person.verify().state == "passed_challenge"
    token = person.log_in()

    me = person.me(token).json()
    assert me["id"] == person.identity_id
    assert (me["email"], me["username"]) == (person.email, person.username)
    assert (me["status"], me["role"]) == ("active", "user")
    assert me["profile"]["display_name"] == "Ada L."
    session = person.ory.to_session(x_session_token=token)
    assert str(session.identity.id) == person.identity_id
    eventually(
        lambda: (
            person.ory.to_session(x_session_token=token).identity.metadata_public
            == {"status": "active", "role": "user"}
        )
    )
    for permit in ("enter", "participate"):
        eventually(lambda permit=permit: allowed(permissions, permit, person))
    assert not allowed(permissions, "moderate", person)
    eventually(lambda: len(person.mails()) == 2)
    for mail, subject in zip(person.mails(), SUBJECTS, strict=True):
        assert mail["subject"].startswith(subject)
        assert mail["html"].startswith("<!doctype html>")


def allowed(permissions, permit, person):
    return permissions.check_permission(
        namespace="Platform", object="main", relation=permit, subject_id=person.identity_id
    ).allowed


def test_the_six_steps_can_be_followed(person):
    person.register()
    states = {step["name"]: step["state"] for step in person.flow()["steps"]}
    assert list(states) == [
        "validation",
        "uniqueness_check",
        "password_processing",
        "user_creation",
        "email_verification",
        "profile_setup",
    ]
    assert states.pop("email_verification") == "waiting"
    assert set(states.values()) == {"completed"}

    person.verify()

    assert person.flow()["state"] == "completed"


def test_a_flow_is_shown_to_nobody_who_does_not_know_it(stack):
    answer = httpx.get(
        f"{stack.edge_url}/api/flows/{'0' * 8}-0000-4000-8000-{'0' * 12}", timeout=30
    )
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:kleis:problem:not_found"


def test_nobody_is_let_in_before_the_address_is_verified(person):
    person.register()

    with pytest.raises(BadRequestException) as refused:
        person.log_in()

    assert messages(refused.value)[""] == (9_400_041, "email_not_verified")


def test_a_wrong_code_verifies_nothing_and_the_right_one_still_does(person):
    person.register()
    right = person.code()
    wrong = "000000" if right != "000000" else "111111"

    flow = person.verify(wrong)
    assert flow.state == "sent_email"
    assert [message.id for message in flow.ui.messages] == [4_070_006]

    assert person.verify(right).state == "passed_challenge"


def test_another_code_can_be_had_and_the_first_link_is_not_needed(person):
    person.register()
    person.code()

    person.ask_for_another_code()

    assert person.verify(person.code(nth=2)).state == "passed_challenge"
    assert person.log_in()


def test_a_taken_e_mail_address_is_refused_and_the_step_recorded(
    person, another_person, eventually
):
    person.register()
    another_person.email = person.email

    with pytest.raises(BadRequestException) as refused:
        another_person.register()

    assert messages(refused.value)[""][0] == 4_000_007
    assert person.email not in refused.value.body.replace(f'"value":"{person.email}"', "")
    flow = eventually(lambda: with_error(another_person.flow()))
    assert flow["state"] == "failed"
    assert flow["error"]["step"] == "uniqueness_check"


def with_error(flow):
    return flow if flow["error"] else None


def test_a_taken_username_is_refused_in_any_case(person, another_person):
    person.register()
    another_person.username = person.username.upper()

    with pytest.raises(BadRequestException) as refused:
        another_person.register()

    assert messages(refused.value)[""][0] == 4_000_007


@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("admin", "username_reserved"),
        ("Moderat0r", "username_lookalike"),
        ("\u0430dmin", "username_characters"),
        ("ab", "username_too_short"),
    ],
)
def test_a_name_nobody_may_have_is_refused_at_its_field(person, eventually, username, code):
    person.username = username

    with pytest.raises(BadRequestException) as refused:
        person.register()

    assert messages(refused.value)["traits.username"][1] == code
    flow = eventually(lambda: with_error(person.flow()))
    assert flow["error"] == {"step": "validation", "code": code}


def test_a_refused_registration_leaves_nothing_half_made(person, admin):
    person.username = "admin"
    with pytest.raises(BadRequestException):
        person.register()

    found = admin.get("/admin/identities", params={"credentials_identifier": person.email})
    assert found.json() == []

    person.username = f"ada-{person.email[:8]}"
    person.register()
    person.verify()
    assert person.log_in()


def test_whoami_and_me_know_nobody_without_a_session(person, stack):
    with pytest.raises(UnauthorizedException):
        person.ory.to_session(x_session_token="ory_st_nobody")
    answer = person.me("ory_st_nobody")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_keto_is_closed_without_a_key(person, stack):
    answer = httpx.get(
        f"{stack.edge_url}/relation-tuples/check/openapi",
        params={
            "namespace": "Platform",
            "object": "main",
            "relation": "enter",
            "subject_id": person.identity_id,
        },
        timeout=30,
    )
    assert answer.status_code == 401
    assert httpx.get(f"{stack.edge_url}/admin/identities", timeout=30).status_code == 401


def test_somebody_disabled_with_the_admin_api_is_shut_out_everywhere(
    person, admin, permissions, eventually
):
    person.register()
    person.verify()
    token = person.log_in()
    eventually(lambda: allowed(permissions, "enter", person))

    patch = [{"op": "replace", "path": "/state", "value": "inactive"}]
    answer = admin.patch(f"/admin/identities/{person.identity_id}", json=patch)
    assert answer.status_code == 200

    eventually(lambda: not allowed(permissions, "enter", person))
    assert person.me(token).status_code == 401
    eventually(
        lambda: (
            admin.get(f"/admin/identities/{person.identity_id}").json()["metadata_public"]
            == {"status": "suspended", "role": "user"}
        )
    )


def test_a_member_made_with_the_admin_api_becomes_one_of_ours(
    admin, person, permissions, eventually
):
    body = {
        "schema_id": "member",
        "traits": {"email": person.email, "username": person.username},
        "credentials": {"password": {"config": {"password": person.password}}},
        "verifiable_addresses": [
            {"value": person.email, "verified": True, "via": "email", "status": "completed"}
        ],
    }
    person.identity_id = admin.post("/admin/identities", json=body).json()["id"]

    eventually(lambda: allowed(permissions, "enter", person))
    assert person.me(person.log_in()).json()["status"] == "active"


def test_a_deleted_identity_leaves_no_authority_behind(admin, person, permissions, eventually):
    person.register()
    person.verify()
    eventually(lambda: allowed(permissions, "enter", person))

    assert admin.delete(f"/admin/identities/{person.identity_id}").status_code == 204

    eventually(lambda: not allowed(permissions, "enter", person))
