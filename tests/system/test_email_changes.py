"""Another e-mail address: asked for with an unmodified SDK, proven, done, taken back."""

import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import unquote

import httpx
import psycopg
import pytest
from ory_client import (
    UpdateSettingsFlowBody,
    UpdateSettingsFlowWithProfileMethod,
)
from ory_client.exceptions import BadRequestException

from tests.system.test_passwords import Client
from tests.system.test_second_factors import turn_on_totp

JSON = {"accept": "application/json"}


def ask(person: Any, token: str, **traits: str) -> Any:
    """Submit the profile form of an unmodified SDK and return the flow."""
    flow = person.ory.create_native_settings_flow(x_session_token=token)
    method = UpdateSettingsFlowWithProfileMethod(
        method="profile",
        traits={"email": person.email, "username": person.username, **traits},
    )
    body = UpdateSettingsFlowBody(method)
    return person.ory.update_settings_flow(str(flow.id), body, x_session_token=token)


def identity_of(admin: httpx.Client, person: Any) -> dict[str, Any]:
    return admin.get(f"/admin/identities/{person.identity_id}").json()


def addresses_of(identity: dict[str, Any]) -> dict[str, bool]:
    return {each["value"]: each["verified"] for each in identity["verifiable_addresses"]}


def mails_to(stack: Any, address: str) -> list[dict[str, str]]:
    answer = httpx.get(stack.facts["mailbox_url"], params={"to": address}, headers=JSON, timeout=30)
    return answer.json()["items"]


def codes_to(stack: Any, address: str) -> list[str]:
    texts = [mail["text"] for mail in mails_to(stack, address)]
    return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]


def code_to(stack: Any, address: str, eventually: Any, *, after: int = 0) -> str:
    """Return the newest code that an address was sent, once there are more than `after`."""
    return eventually(lambda: codes_to(stack, address)[after:])[-1]


def ticket_to(stack: Any, address: str, subject: str, eventually: Any) -> str:
    """Return the ticket of the mail that an old address got."""
    mail = eventually(lambda: [m for m in mails_to(stack, address) if subject in m["subject"]])[-1]
    return unquote(re.search(r"ticket=([\w%-]+)", mail["text"])[1])


def verification_flow(flow: Any) -> str:
    [step] = flow.continue_with
    assert step.actual_instance.action == "show_verification_ui"
    return str(step.actual_instance.flow.id)


@pytest.fixture
def api(stack: Any) -> Iterator[Callable[..., httpx.Client]]:
    """Return a function that makes a client of our API, with a session or without."""
    with ExitStack() as clients:

        def make(token: str = "") -> httpx.Client:
            headers = {"X-Session-Token": token} if token else {}
            client = httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30)
            clients.callback(client.close)
            return client

        yield make


@pytest.fixture
def token(member: Any) -> str:
    return member.log_in()


def test_a_new_address_waits_and_the_old_one_stays_until_it_is_proven(
    member, token, admin, eventually
):
    new = f"new-{member.email}"
    flow = ask(member, token, email=new)

    assert flow.state == "success"
    assert flow.identity.traits["email"] == member.email
    assert flow.identity.traits["pending_email"] == new
    assert addresses_of(identity_of(admin, member)) == {member.email: True, new: False}
    assert member.me(token).json()["email"] == member.email
    shown = [node.attributes.actual_instance for node in flow.ui.nodes]
    [node] = [each for each in shown if getattr(each, "name", "") == "traits.pending_email"]
    assert node.value == new

    member.verify(code_to(member.stack, new, eventually), flow_id=verification_flow(flow))

    eventually(lambda: member.me(token).json()["email"] == new)
    identity = identity_of(admin, member)
    assert identity["traits"] == {"email": new, "username": member.username}
    assert addresses_of(identity) == {new: True}
    assert [each["value"] for each in identity["recovery_addresses"]] == [new]
    assert member.log_in(new)
    with pytest.raises(BadRequestException):
        member.log_in(member.email)


def test_the_old_address_hears_of_it_and_both_hear_when_it_is_done(
    member, token, admin, eventually, api
):
    new = change(member.stack, member, token, eventually)

    asked = "Your e-mail address is about to change"
    eventually(lambda: asked in [m["subject"] for m in mails_to(member.stack, member.email)])
    done = eventually(
        lambda: [m for m in mails_to(member.stack, member.email) if "was changed" in m["subject"]]
    )
    assert new in done[0]["text"]
    eventually(
        lambda: [
            m for m in mails_to(member.stack, new) if "address of your account now" in m["subject"]
        ]
    )
    kinds = [event["kind"] for event in events(api(token))]
    assert kinds == ["email_changed", "email_change_asked"]
    view = api(token).get("/api/me/email").json()
    assert view["email"] == new
    assert view["pending"] is None
    assert view["revertible_until"]


def change(stack: Any, member: Any, token: str, eventually: Any) -> str:
    """Change the address by the SDK alone, and return the new one."""
    new = f"{secrets.token_hex(4)}@example.test"
    flow = ask(member, token, email=new)
    member.verify(code_to(stack, new, eventually), flow_id=verification_flow(flow))
    eventually(lambda: member.me(token).json()["email"] == new)
    return new


def events(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get("/api/me/security-events")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def codes_of(problem: httpx.Response) -> list[str]:
    return [error["code"] for error in problem.json()["errors"]]


def test_a_pending_address_is_never_set_by_hand_and_emptying_it_cancels(
    member, token, admin, eventually, api
):
    with pytest.raises(BadRequestException) as refused:
        ask(member, token, pending_email="eve@example.test")
    assert "cannot be set by hand" in refused.value.body
    new = f"new-{member.email}"
    flow = ask(member, token, email=new)
    code = code_to(member.stack, new, eventually)
    # As a form sends it along, beside another change.
    assert ask(member, token, pending_email=new, first_name="Ada").state == "success"
    assert identity_of(admin, member)["traits"]["pending_email"] == new

    assert ask(member, token).state == "success"

    assert "pending_email" not in identity_of(admin, member)["traits"]
    assert api(token).get("/api/me/email").json()["pending"] is None
    answer = member.verify(code, flow_id=verification_flow(flow))
    assert answer.state != "passed_challenge"
    assert member.me(token).json()["email"] == member.email


def test_of_two_wishes_the_later_one_counts(member, token, admin, eventually, api):
    first, second = (f"{name}-{member.email}" for name in ("first", "second"))
    flow = ask(member, token, email=first)
    code = code_to(member.stack, first, eventually)
    later = ask(member, token, email=second, pending_email=first)
    assert addresses_of(identity_of(admin, member)) == {member.email: True, second: False}

    assert member.verify(code, flow_id=verification_flow(flow)).state != "passed_challenge"
    member.verify(code_to(member.stack, second, eventually), flow_id=verification_flow(later))

    eventually(lambda: member.me(token).json()["email"] == second)
    assert [e["facts"].get("why") for e in events(api(token)) if "ended" in e["kind"]] == [
        "superseded"
    ]


def test_the_same_wish_twice_sends_one_mail(member, token, eventually):
    new = f"new-{member.email}"
    ask(member, token, email=new)
    again = ask(member, token, email=new)
    assert not again.continue_with
    code_to(member.stack, new, eventually)
    assert len(mails_to(member.stack, new)) == 1


def test_an_address_of_somebody_else_is_refused_as_at_registration(
    member, token, another_person, api
):
    another_person.register()
    with pytest.raises(BadRequestException) as refused:
        ask(member, token, email=another_person.email)
    assert "4000007" in refused.value.body
    assert member.me(token).json()["email"] == member.email
    answer = api(token).post("/api/me/email", json={"email": another_person.email})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:kleis:problem:email_taken"


def test_nobody_can_make_us_write_to_many_addresses(member, token):
    for number in range(5):
        ask(member, token, email=f"{number}-{member.email}")
    with pytest.raises(BadRequestException) as refused:
        ask(member, token, email=f"6-{member.email}")
    assert "email_change_too_often" in refused.value.body


def test_the_old_address_takes_a_change_back_and_everybody_is_out(
    member, token, admin, eventually, api
):
    new = change(member.stack, member, token, eventually)
    ticket = ticket_to(member.stack, member.email, "was changed", eventually)

    answer = api().post("/api/me/email/revert", json={"ticket": ticket})

    assert (answer.status_code, answer.json()) == (200, {"state": "reverted"})
    identity = identity_of(admin, member)
    assert identity["traits"]["email"] == member.email
    assert addresses_of(identity) == {member.email: True}
    assert member.me(token).status_code == 401
    # Whoever changed the address may know the password.
    for name in (member.email, new, member.username):
        with pytest.raises(BadRequestException):
            member.log_in(name)
    again = api().post("/api/me/email/revert", json={"ticket": ticket})
    assert again.json() == {"state": "reverted"}

    member.password = recover(api(), member.stack, member, eventually)
    assert member.me(member.log_in()).json()["email"] == member.email

    # The link is in an old mail for ever: it does nothing to the password chosen since.
    again = api().post("/api/me/email/revert", json={"ticket": ticket})
    assert again.json() == {"state": "reverted"}
    assert member.me(member.log_in()).status_code == 200


def test_a_link_used_again_while_it_is_under_way_does_nothing_more(
    member, token, admin, eventually, api
):
    """Kratos was slow, so that the change is still being taken back when the owner is in again."""
    change(member.stack, member, token, eventually)
    ticket = ticket_to(member.stack, member.email, "was changed", eventually)
    api().post("/api/me/email/revert", json={"ticket": ticket})
    member.password = recover(api(), member.stack, member, eventually)
    session = member.log_in()
    with psycopg.connect(member.stack.database_url) as connection:
        connection.execute(
            "update email_changes set state = 'reverting' where identity_id = %s",
            (member.identity_id,),
        )

    again = api().post("/api/me/email/revert", json={"ticket": ticket})

    assert (again.status_code, again.json()) == (200, {"state": "reverting"})
    assert member.me(session).status_code == 200
    assert member.me(member.log_in()).status_code == 200


def recover(client: httpx.Client, stack: Any, person: Any, eventually: Any) -> str:
    """Get back in by a code, set a new password and return it."""
    with client:
        before = len(codes_to(stack, person.email))
        flow = client.get("/self-service/recovery/api").json()
        client.post(flow["ui"]["action"], json={"method": "code", "email": person.email})
        code = code_to(stack, person.email, eventually, after=before)
        answer = client.post(flow["ui"]["action"], json={"method": "code", "code": code})
        assert answer.status_code == 200, answer.text
        token = next(
            step["ory_session_token"]
            for step in answer.json()["continue_with"]
            if step["action"] == "set_ory_session_token"
        )
        headers = {"X-Session-Token": token}
        settings = client.get("/self-service/settings/api", headers=headers).json()
        password = f"Correct-Horse-{secrets.token_hex(4)}"
        answer = client.post(
            settings["ui"]["action"],
            json={"method": "password", "password": password},
            headers=headers,
        )
        assert answer.status_code == 200, answer.text
    return password


def test_a_change_that_is_only_asked_for_is_cancelled_by_the_same_link(
    member, token, admin, eventually, api
):
    new = f"new-{member.email}"
    flow = ask(member, token, email=new)
    ticket = ticket_to(member.stack, member.email, "about to change", eventually)
    code = code_to(member.stack, new, eventually)

    with api() as client:
        page = client.get("/email-revert", params={"ticket": ticket})
        assert (page.status_code, "It was not me" in page.text) == (200, True)
        assert member.me(token).status_code == 200
        page = client.post("/email-revert", data={"ticket": ticket})
        assert "Your old address is back" in page.text
        assert client.get("/email-revert", params={"ticket": ticket}).status_code == 410

    assert member.verify(code, flow_id=verification_flow(flow)).state != "passed_challenge"
    assert identity_of(admin, member)["traits"]["email"] == member.email
    assert member.me(token).status_code == 401


def test_the_oldest_address_takes_back_what_followed(member, token, admin, eventually, api):
    original = member.email
    first = change(member.stack, member, token, eventually)
    member.email = first
    change(member.stack, member, token, eventually)
    oldest = ticket_to(member.stack, original, "was changed", eventually)
    later = ticket_to(member.stack, first, "was changed", eventually)

    api().post("/api/me/email/revert", json={"ticket": oldest})

    assert identity_of(admin, member)["traits"]["email"] == original
    answer = api().post("/api/me/email/revert", json={"ticket": later})
    assert answer.status_code == 409
    assert identity_of(admin, member)["traits"]["email"] == original


def test_a_second_factor_that_came_with_the_change_does_not_keep_the_owner_out(
    member, token, admin, eventually, api
):
    ask(member, token, email=f"{secrets.token_hex(4)}@example.test")
    turn_on_totp(api(token))
    ticket = ticket_to(member.stack, member.email, "about to change", eventually)

    api().post("/api/me/email/revert", json={"ticket": ticket})

    # It was added after the wish, so nobody knows whose it is.
    assert "totp" not in identity_of(admin, member)["credentials"]
    member.password = recover(api(), member.stack, member, eventually)
    assert member.log_in()


def test_nobody_else_gets_an_address_that_may_still_be_taken_back(
    member, token, another_person, eventually
):
    change(member.stack, member, token, eventually)
    another_person.email = member.email
    with pytest.raises(BadRequestException) as refused:
        another_person.register()
    assert "email_taken" in refused.value.body


@pytest.mark.parametrize("ticket", ["", "x", "A" * 56, "AAAA====", "\u00e9" * 30])
def test_a_ticket_of_nobody_opens_nothing(stack, ticket, api):
    answer = api().post("/api/me/email/revert", json={"ticket": ticket})
    assert answer.status_code in (404, 422)
    assert api().get("/email-revert", params={"ticket": ticket}).status_code == 410


def test_an_address_taken_meanwhile_is_not_taken_over(member, token, admin, eventually, api):
    """By the admin API alone somebody else can have it: as a username."""
    new = f"{secrets.token_hex(4)}@example.test"
    flow = ask(member, token, email=new)
    squatter = {"email": f"x-{member.email}", "username": new}
    made = admin.post("/admin/identities", json={"schema_id": "member", "traits": squatter})
    assert made.status_code == 201, made.text

    member.verify(code_to(member.stack, new, eventually), flow_id=verification_flow(flow))

    told = "could not be changed"
    eventually(lambda: [m for m in mails_to(member.stack, member.email) if told in m["subject"]])
    identity = identity_of(admin, member)
    assert identity["traits"] == {"email": member.email, "username": member.username}
    assert events(api(token))[0]["facts"]["why"] == "taken"


def test_an_address_that_nobody_confirms_is_forgotten(member, token, admin, eventually, api):
    new = f"new-{member.email}"
    ask(member, token, email=new)
    with psycopg.connect(member.stack.database_url) as connection:
        connection.execute(
            "update email_changes set expires_at = now() - interval '1 minute'"
            " where identity_id = %s",
            (member.identity_id,),
        )
    eventually(lambda: "pending_email" not in identity_of(admin, member)["traits"])
    view = api(token).get("/api/me/email").json()
    assert view == {"email": member.email, "pending": None, "revertible_until": None}


def test_our_own_api_asks_confirms_and_shows(member, token, admin, eventually, api):
    new = f"new-{member.email}"
    with api(token) as client:
        answer = client.post("/api/me/email", json={"email": new})
        assert answer.status_code == 202, answer.text
        assert answer.json()["pending"]["email"] == new
        code = code_to(member.stack, new, eventually)
        wrong = client.post("/api/me/email/confirm", json={"code": f"{(int(code) + 1) % 10**6:06}"})
        assert (wrong.status_code, codes_of(wrong)) == (422, ["code_wrong"])

        answer = client.post("/api/me/email/confirm", json={"code": code})

        assert answer.status_code == 200, answer.text
        assert answer.json()["email"] == new
        assert client.get("/api/me").json()["email"] == new
        assert addresses_of(identity_of(admin, member)) == {new: True}
        again = client.post("/api/me/email/confirm", json={"code": code})
        assert (again.status_code, codes_of(again)) == (422, ["code_not_sent"])


def test_our_own_api_cancels(member, token, admin, api):
    with api(token) as client:
        client.post("/api/me/email", json={"email": f"new-{member.email}"})
        assert client.delete("/api/me/email").status_code == 204
        assert client.delete("/api/me/email").status_code == 204
        assert client.get("/api/me/email").json()["pending"] is None
    assert addresses_of(identity_of(admin, member)) == {member.email: True}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("no address", "email_format"),
        ("a@mailinator.com", "email_disposable"),
        ("", "email_unchanged"),
    ],
)
def test_our_own_api_says_why_not(member, token, wanted, code, api):
    answer = api(token).post("/api/me/email", json={"email": wanted or member.email})
    assert (answer.status_code, codes_of(answer)) == (422, [code])
    assert answer.headers["content-type"] == "application/problem+json"


def age(stack: Any, person: Any) -> None:
    """Let a quarter of an hour pass since everybody logged in."""
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update sessions set authenticated_at = authenticated_at - interval '16 minutes'"
            " where identity_id = %s",
            (person.identity_id,),
        )


def test_an_old_session_has_to_log_in_again_first(member, token, admin, api):
    age(member.stack, member)
    answer = api(token).post("/api/me/email", json={"email": f"new-{member.email}"})
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:kleis:problem:session_refresh_required"
    flow = api(token).get("/self-service/settings/api").json()
    traits = {"email": f"new-{member.email}", "username": member.username}
    answer = api(token).post(flow["ui"]["action"], json={"method": "profile", "traits": traits})
    assert answer.status_code == 403
    assert answer.json()["error"]["id"] == "session_refresh_required"
    assert "pending_email" not in identity_of(admin, member)["traits"]


def test_the_reconciler_finishes_what_no_hook_told_of(member, token, admin, eventually):
    """As if the hooks of the wish had been lost: Kratos alone knows of it."""
    new = f"{secrets.token_hex(4)}@example.test"
    flow = ask(member, token, email=new)
    code = code_to(member.stack, new, eventually)
    with psycopg.connect(member.stack.database_url) as connection:
        connection.execute(
            "delete from email_changes where identity_id = %s", (member.identity_id,)
        )
    assert member.stack.run("doctor", "--repair").returncode in (0, 1)
    with psycopg.connect(member.stack.database_url) as connection:
        query = "select new_email, state from email_changes where identity_id = %s"
        assert connection.execute(query, (member.identity_id,)).fetchone() == (new, "asked")

    member.verify(code, flow_id=verification_flow(flow))
    eventually(lambda: member.me(token).json()["email"] == new)


def test_what_a_browser_asked_for_is_confirmed_over_the_api(member, admin, eventually):
    """The code belongs to a flow of the browser's; the API finds it."""
    new = f"{secrets.token_hex(4)}@example.test"
    client = Client(member.stack, "browser")
    with client.http:
        assert client.log_in(member).status_code == 200
        flow = client.start("settings")
        traits = {"email": new, "username": member.username}
        answer = client.submit(flow, method="profile", traits=traits)
        assert answer.status_code == 200, answer.text
        assert answer.json()["identity"]["traits"]["email"] == member.email

        code = code_to(member.stack, new, eventually)
        answer = client.http.post("/api/me/email/confirm", json={"code": code})

        assert (answer.status_code, answer.json()["email"]) == (200, new), answer.text
    assert addresses_of(identity_of(admin, member)) == {new: True}


def test_of_many_wishes_at_once_one_is_left_everywhere(member, token, admin, api):
    wishes = [f"{number}-{member.email}" for number in range(4)]
    clients = [api(token) for _ in wishes]

    def wish(client: httpx.Client, email: str) -> int:
        return client.post("/api/me/email", json={"email": email}).status_code

    with ThreadPoolExecutor(len(wishes)) as pool:
        answers = list(pool.map(wish, clients, wishes))

    # Whoever was overtaken is told so.
    assert set(answers) <= {202, 409, 503}
    pending = api(token).get("/api/me/email").json()["pending"]["email"]
    identity = identity_of(admin, member)
    assert identity["traits"]["pending_email"] == pending
    assert addresses_of(identity) == {member.email: True, pending: False}
