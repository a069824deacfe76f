"""A login that is refused for the member's state leads on: by its ticket, to a login that works."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.session_clients import Native, enroll_totp
from tests.system.test_tokens import ask, code_of

NEVER = "Wrong-password-1"


def put_into(stack: Any, person: Any, status: str) -> None:
    """Put a member into a state that nothing in this release leads to, or only after days."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "update members set status = %s, status_changed_at = now() where identity_id = %s",
            (status, person.identity_id),
        )


def set_state(admin: httpx.Client, person: Any, state: str) -> None:
    patch = [{"op": "replace", "path": "/state", "value": state}]
    admin.patch(f"/admin/identities/{person.identity_id}", json=patch).raise_for_status()


def refusal_of(app: Any, person: Any, code: str) -> dict[str, str]:
    """Log in with the right password; return the tickets by what they are for."""
    answer = app.log_in(person.email, person.password)
    assert (answer.status_code, code_of(answer)) == (403, code), answer.text
    assert answer.headers["cache-control"] == "no-store"
    wrong = app.log_in(person.email, NEVER)
    assert (wrong.status_code, "next" in wrong.json()) == (401, False)
    return {step["action"]: step["ticket"] for step in answer.json()["next"]}


def logs_in(app: Any, person: Any, eventually: Any) -> dict[str, Any]:
    """Log in as soon as Kratos has heard, as a client does: a 503 says when to try again."""

    def attempt() -> Any:
        answer = app.log_in(person.email, person.password)
        assert answer.status_code in (200, 503), answer.text
        assert answer.status_code == 200 or answer.headers["retry-after"]
        return answer.status_code == 200 and answer.json()

    return eventually(attempt)


def mail_about(person: Any, words: str, eventually: Any) -> str:
    found = eventually(lambda: [m for m in person.mails() if words in m["subject"]])
    return found[-1]["text"]


def test_who_has_not_verified_gets_another_code_that_works(app, person, eventually):
    app.register(person).raise_for_status()
    first = person.code()
    tickets = refusal_of(app, person, "email_not_verified")
    assert set(tickets) == {"resend_verification"}

    answer = app.http.post(
        "/api/auth/resend-verification", json={"ticket": tickets["resend_verification"]}
    )

    assert answer.status_code == 202, answer.text
    second = person.code(nth=2)
    assert second != first
    person.verify(second, flow_id=answer.json()["verification_flow_id"])
    assert logs_in(app, person, eventually)["user"]["status"] == "active"
    # The ticket was about a state that is over.
    again = app.http.post(
        "/api/auth/resend-verification", json={"ticket": tickets["resend_verification"]}
    )
    assert (again.status_code, code_of(again)) == (403, "ticket_refused")


def test_who_expired_waits_for_the_code_again(app, stack, person, eventually):
    person.identity_id = app.register(person).json()["user"]["id"]
    person.code()
    put_into(stack, person, "expired")
    [ticket] = refusal_of(app, person, "email_not_verified").values()

    answer = app.http.post("/api/auth/resend-verification", json={"ticket": ticket})

    assert answer.status_code == 202, answer.text
    code = person.code(nth=2)
    [(status,)] = ask(
        stack, "select status from members where identity_id = %s", person.identity_id
    )
    assert status == "pending_verification"
    person.verify(code, flow_id=answer.json()["verification_flow_id"])
    logs_in(app, person, eventually)


def test_who_left_comes_back_with_the_password(
    app, stack, member, logged_in, permissions, eventually
):
    session = {"X-Session-Token": logged_in["session"]["token"]}
    left = app.http.post("/api/me/deactivation", json={"reason": "a break"}, headers=session)
    assert left.status_code == 204, left.text
    assert app.whoami(session["X-Session-Token"]) == 401
    assert app.refresh(logged_in["tokens"]["refresh_token"]).status_code == 401
    assert "deactivated" in mail_about(member, "deactivated", eventually)
    gate = {"namespace": "Platform", "object": "main", "relation": "enter"}
    whose = {"subject_id": member.identity_id}
    eventually(lambda: not permissions.check_permission(**gate, **whose).allowed)
    tickets = refusal_of(app, member, "account_deactivated")
    assert set(tickets) == {"reactivate"}

    answer = app.http.post("/api/auth/reactivate", json={"ticket": tickets["reactivate"]})

    assert (answer.status_code, answer.json()["status"]) == (200, "active"), answer.text
    assert logs_in(app, member, eventually)["user"]["id"] == member.identity_id
    assert "knows its password" in mail_about(member, "active again", eventually)
    eventually(lambda: permissions.check_permission(**gate, **whose).allowed)
    # Nothing of before is revived.
    assert app.whoami(session["X-Session-Token"]) == 401
    replay = app.http.post("/api/auth/reactivate", json={"ticket": tickets["reactivate"]})
    assert (replay.status_code, code_of(replay)) == (403, "ticket_refused")


def test_a_ticket_is_no_way_round_a_second_factor(app, stack, member, eventually):
    phone = Native(stack, member)
    phone.log_in()
    enroll_totp(phone)
    assert phone.ask("POST", "/api/me/deactivation", json={}).status_code == 204
    phone.close()
    [ticket] = refusal_of(app, member, "account_deactivated").values()
    assert app.http.post("/api/auth/reactivate", json={"ticket": ticket}).status_code == 200

    def attempt() -> Any:
        answer = app.log_in(member.email, member.password)
        return answer.status_code != 503 and answer

    answer = eventually(attempt)
    assert (answer.status_code, code_of(answer)) == (403, "session_aal2_required")


def test_an_accepted_appeal_lets_the_member_log_in(app, admin, member, eventually):
    set_state(admin, member, "inactive")
    tickets = refusal_of(app, member, "account_suspended")
    assert set(tickets) == {"appeal"}
    body = {"ticket": tickets["appeal"], "statement": "It was my little brother."}

    made = app.http.post("/api/me/appeals", json=body)

    assert made.status_code == 201, made.text
    mail_about(member, "got your appeal", eventually)
    # While it is looked at there is nothing to do but wait.
    assert refusal_of(app, member, "account_suspended") == {}
    [item] = admin.get("/api/admin/appeals", params={"member": member.identity_id}).json()["items"]
    assert (item["statement"], item["state"]) == (body["statement"], "open")
    accepted = admin.post(f"/api/admin/appeals/{item['id']}/accept", json={"reason": "Fair."})
    assert accepted.status_code == 200, accepted.text
    token = logs_in(app, member, eventually)["session"]["token"]
    assert "Fair." in mail_about(member, "active again", eventually)
    own = app.http.get("/api/me/appeals", headers={"X-Session-Token": token}).json()["items"]
    assert [(each["state"], each["decision_reason"]) for each in own] == [("accepted", "Fair.")]
    identity = admin.get(f"/admin/identities/{member.identity_id}").json()
    assert (identity["state"], identity["metadata_public"]["status"]) == ("active", "active")


def test_a_rejected_appeal_changes_nothing_but_is_told(app, admin, member, eventually):
    set_state(admin, member, "inactive")
    [ticket] = refusal_of(app, member, "account_suspended").values()
    body = {"ticket": ticket, "statement": "Please."}
    made = app.http.post("/api/me/appeals", json=body).json()

    rejected = admin.post(f"/api/admin/appeals/{made['id']}/reject", json={"reason": "Spam."})

    assert rejected.json()["state"] == "rejected"
    assert "Spam." in mail_about(member, "rejected", eventually)
    assert refusal_of(app, member, "account_suspended") == {}
    identity = admin.get(f"/admin/identities/{member.identity_id}").json()
    assert identity["state"] == "inactive"


def test_an_appeal_is_moot_when_an_admin_enables_the_identity(app, admin, member, eventually):
    set_state(admin, member, "inactive")
    [ticket] = refusal_of(app, member, "account_suspended").values()
    app.http.post("/api/me/appeals", json={"ticket": ticket, "statement": "Please."})

    set_state(admin, member, "active")

    [item] = admin.get("/api/admin/appeals", params={"member": member.identity_id}).json()["items"]
    assert item["state"] == "moot"
    logs_in(app, member, eventually)


def test_who_logs_in_right_after_being_let_back_in_stays_logged_in(
    app, stack, admin, member, logged_in, eventually
):
    """Sessions of before are ended once more by the worker, and a new one is none of them."""
    set_state(admin, member, "inactive")
    set_state(admin, member, "active")

    token = logs_in(app, member, eventually)["session"]["token"]

    undone = "select 1 from outbox where identity_id = %s and lane = 'identity' and done_at is null"
    eventually(lambda: not ask(stack, undone, member.identity_id))
    assert app.whoami(token) == 200
    assert app.whoami(logged_in["session"]["token"]) == 401


def test_who_is_banned_is_promised_nothing(app, stack, member):
    put_into(stack, member, "banned")

    assert refusal_of(app, member, "account_banned") == {}


def test_who_came_by_a_provider_completes_the_profile(app, stack, member, eventually):
    put_into(stack, member, "provisional")
    tickets = refusal_of(app, member, "profile_incomplete")
    assert set(tickets) == {"complete_profile"}
    body = {"ticket": tickets["complete_profile"], "display_name": "Ada L."}

    answer = app.http.post("/api/auth/complete-profile", json=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "active"), answer.text
    assert logs_in(app, member, eventually)["user"]["profile"]["display_name"] == "Ada L."
    again = app.http.post("/api/auth/complete-profile", json=body)
    assert (again.status_code, code_of(again)) == (403, "ticket_refused")


def test_nobody_is_active_whose_address_no_provider_vouched_for(app, stack, person, eventually):
    registered = app.register(person).json()
    person.identity_id = registered["user"]["id"]
    put_into(stack, person, "provisional")
    [ticket] = refusal_of(app, person, "profile_incomplete").values()
    body = {"ticket": ticket, "display_name": "Ada L."}

    refused = app.http.post("/api/auth/complete-profile", json=body)

    assert (refused.status_code, code_of(refused)) == (409, "email_not_verified")
    person.verify(flow_id=registered["verification_flow_id"])
    assert app.http.post("/api/auth/complete-profile", json=body).status_code == 200
    logs_in(app, person, eventually)


@pytest.mark.parametrize("whose", ["email", "username"])
def test_a_ticket_is_of_whom_kratos_means_by_the_name(
    app, stack, admin, member, another_person, whose
):
    """Our copies of names may be late: another row may still have, or have already, the same."""
    another_person.register()
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            f"update members set {whose} = %s where identity_id = %s",
            (getattr(member, whose), another_person.identity_id),
        )
    set_state(admin, member, "inactive")

    answer = app.log_in(getattr(member, whose), member.password)

    assert code_of(answer) == "account_suspended", answer.text
    [step] = answer.json()["next"]
    assert step["ticket"].startswith(member.identity_id)
