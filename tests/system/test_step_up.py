"""Second factors on real Kratos: held sessions are good for nothing, unmodified clients go on."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import ory_client
import pytest
from ory_client import (
    FrontendApi,
    UpdateLoginFlowBody,
    UpdateLoginFlowWithCodeMethod,
    UpdateLoginFlowWithTotpMethod,
)
from ory_client.exceptions import ForbiddenException

from tests.session_clients import (
    HTML,
    WHOAMI,
    Form,
    Native,
    Spa,
    enroll_lookup_codes,
    enroll_totp,
    groups_in,
    hold,
    login_code,
    rows,
    totp,
)

READS = (WHOAMI, "/sessions", "/self-service/settings/{kind}")


@pytest.fixture(params=[Native, Spa])
def client(request, clients, member) -> Any:
    made = clients(request.param, member)
    assert made.log_in().status_code == 200
    return made


def held(client: Any, stack: Any, eventually: Any, reason: str = "risk") -> None:
    """Hold the client's session, and wait until the edge has heard of it."""
    hold(stack, client.session["id"], reason)
    eventually(lambda: client.whoami() == 403)


def kind_of(client: Any) -> str:
    return "api" if isinstance(client, Native) else "browser"


def give_mailed_code(client: Any, member: Any, eventually: Any, *, nth: int = 1) -> Any:
    """Give a mailed code as second factor, as a client that knows only Kratos does."""
    flow = client.start("login", aal="aal2")
    sent = client.submit(flow, method="code", identifier=member.email)
    assert sent.json()["state"] == "sent_email", sent.text
    code = login_code(member, eventually, nth=nth)
    return client.submit(sent.json(), method="code", code=code)


def test_a_held_session_is_answered_as_kratos_would(client, member, stack, eventually):
    held(client, stack, eventually)
    there = f"{stack.edge_url}/self-service/login/browser?aal=aal2"

    for path in READS:
        answer = client.ask("GET", path.format(kind=kind_of(client)))
        assert answer.status_code == 403, path
        body = answer.json()
        assert body["error"]["id"] == "session_aal2_required"
        assert body["redirect_browser_to"] == there
        assert body["error"]["details"] == {"redirect_browser_to": there}
    for method in ("POST", "PUT", "PATCH"):
        assert client.ask(method, WHOAMI).status_code == 403
    ours = client.ask("GET", "/api/me")
    assert ours.status_code == 403
    assert ours.json()["type"] == "urn:kleis:problem:session_aal2_required"


def test_a_held_session_changes_nothing(client, member, stack, eventually):
    flow = client.start("settings")
    held(client, stack, eventually)
    traits = {"email": member.email, "username": member.username, "first_name": "Eve"}

    answer = client.submit(flow, method="profile", traits=traits)

    assert answer.status_code == 403
    assert answer.json()["error"]["id"] == "session_aal2_required"
    assert client.ask("DELETE", "/sessions").status_code == 403
    assert client.ask("DELETE", "/api/me/sessions").status_code == 403


def test_a_mailed_code_makes_a_held_session_good(client, member, stack, eventually):
    held(client, stack, eventually)

    answer = give_mailed_code(client, member, eventually)

    assert answer.status_code == 200, answer.text
    assert answer.json()["session"]["id"] == client.session["id"]
    assert client.whoami() == 200
    assert client.ask("GET", "/api/me").status_code == 200
    [row] = rows(stack, member)
    assert (row["hold"], row["aal"], row["methods"]) == (None, "aal2", ["password", "code"])


def test_a_wrong_code_leaves_it_held(client, member, stack, eventually):
    held(client, stack, eventually)
    flow = client.start("login", aal="aal2")
    sent = client.submit(flow, method="code", identifier=member.email).json()
    right = login_code(member, eventually)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"

    assert client.submit(sent, method="code", code=wrong).status_code == 400

    assert client.whoami() == 403


def test_another_password_login_does_not_release_a_hold(client, member, stack, eventually):
    held(client, stack, eventually)

    assert client.log_in(refresh="true").status_code == 200

    assert client.whoami() == 403
    assert rows(stack, member)[0]["hold"] == "risk"


def test_a_session_held_in_spite_of_its_second_factor_is_asked_again(
    client, member, stack, eventually
):
    held(client, stack, eventually)
    give_mailed_code(client, member, eventually)
    held(client, stack, eventually, "another risk")

    # The client asks for `aal=aal2` alone; Kratos by itself would have nothing to ask.
    answer = give_mailed_code(client, member, eventually, nth=2)

    assert answer.status_code == 200, answer.text
    assert client.whoami() == 200


def test_only_the_held_session_is_held(clients, client, member, stack, eventually):
    other = clients(Native, member)
    other.log_in()

    held(client, stack, eventually)

    assert other.whoami() == 200


def refusal_of(front: FrontendApi, token: str) -> ForbiddenException | None:
    try:
        front.to_session(x_session_token=token)
    except ForbiddenException as error:
        return error
    return None


def test_an_unmodified_sdk_gets_through(member, stack, eventually):
    with ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url)) as api:
        front = FrontendApi(api)
        token = member.log_in()
        session = front.to_session(x_session_token=token)
        hold(stack, session.id)
        refused = eventually(lambda: refusal_of(front, token))
        assert "session_aal2_required" in refused.body

        flow = front.create_native_login_flow(aal="aal2", x_session_token=token)
        [address] = [node.attributes.actual_instance.value for node in flow.ui.nodes]
        asked = UpdateLoginFlowWithCodeMethod(method="code", identifier=address, csrf_token="")
        with pytest.raises(ory_client.ApiException):  # Kratos' 400 "the code is sent"
            front.update_login_flow(str(flow.id), UpdateLoginFlowBody(asked), x_session_token=token)
        given = UpdateLoginFlowWithCodeMethod(
            method="code", code=login_code(member, eventually), csrf_token=""
        )
        answer = front.update_login_flow(
            str(flow.id), UpdateLoginFlowBody(given), x_session_token=token
        )

        assert answer.session_token == token
        assert front.to_session(x_session_token=token).id == session.id
        api.rest_client.pool_manager.clear()


def test_a_form_is_led_through_the_second_factor_and_back(clients, member, stack, eventually):
    browser = clients(Form, member)
    browser.log_in()
    held(browser, stack, eventually)

    answer = browser.ask("GET", "/self-service/settings/browser", headers=HTML)
    assert answer.status_code == 303
    there = urlsplit(answer.headers["location"])
    assert there.path == "/self-service/login/browser"
    assert parse_qs(there.query)["aal"] == ["aal2"]

    address, page = browser.page(answer.headers["location"])
    assert "/login?flow=" in address
    button = page.find("button", attrs={"name": "address"})
    assert member.email in button.text
    _, page = browser.press(page, address=member.email)
    code = login_code(member, eventually)
    address, page = browser.press(page, code=code)

    assert "/account/settings?flow=" in address
    assert browser.whoami() == 200


# A factor of the member's own


def test_who_enrolled_an_authenticator_app_is_asked_for_it(client, clients, member, stack):
    secret = enroll_totp(client)
    assert client.whoami() == 200
    fresh = clients(type(client), member)
    fresh.log_in()

    assert fresh.whoami() == 403
    flow = fresh.start("login", aal="aal2")
    assert groups_in(flow) & {"totp", "code"} == {"totp"}
    answer = fresh.submit(flow, method="totp", totp_code=totp(secret))
    assert answer.status_code == 200, answer.text

    assert fresh.whoami() == 200


def test_a_mailed_code_does_not_count_beside_an_authenticator_app(client, clients, member):
    enroll_totp(client)
    fresh = clients(type(client), member)
    fresh.log_in()
    flow = fresh.start("login", aal="aal2")

    for body in ({"method": "code", "identifier": member.email}, {"address": member.email}):
        answer = fresh.submit(flow, **body)
        assert answer.status_code == 403, answer.text
        assert answer.json()["type"] == "urn:kleis:problem:mailed_code_not_accepted"

    assert not [mail for mail in member.mails() if "log in" in mail["subject"]]
    shown = fresh.ask("GET", "/self-service/login/flows", params={"id": flow["id"]}).json()
    assert "code" not in groups_in(shown)


def test_an_sdk_gives_the_code_of_an_authenticator_app(clients, member, stack):
    app = clients(Native, member)
    app.log_in()
    secret = enroll_totp(app)
    token = member.log_in()
    with ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url)) as api:
        front = FrontendApi(api)
        with pytest.raises(ForbiddenException):
            front.to_session(x_session_token=token)
        flow = front.create_native_login_flow(aal="aal2", x_session_token=token)
        given = UpdateLoginFlowWithTotpMethod(method="totp", totp_code=totp(secret))
        front.update_login_flow(str(flow.id), UpdateLoginFlowBody(given), x_session_token=token)
        assert front.to_session(x_session_token=token).authenticator_assurance_level == "aal2"
        api.rest_client.pool_manager.clear()


def test_a_look_up_code_is_a_second_factor_and_is_good_once(client, clients, member):
    codes = enroll_lookup_codes(client)
    fresh = clients(type(client), member)
    fresh.log_in()

    assert fresh.whoami() == 403
    flow = fresh.start("login", aal="aal2")
    assert groups_in(flow) & {"lookup_secret", "code"} == {"lookup_secret"}
    answer = fresh.submit(flow, method="lookup_secret", lookup_secret=codes[0])
    assert answer.status_code == 200, answer.text
    assert fresh.whoami() == 200

    again = clients(type(client), member)
    again.log_in()
    flow = again.start("login", aal="aal2")
    assert again.submit(flow, method="lookup_secret", lookup_secret=codes[0]).status_code == 400
    assert again.whoami() == 403


def test_a_held_session_is_released_by_a_look_up_code(client, member, stack, eventually):
    codes = enroll_lookup_codes(client)
    held(client, stack, eventually)

    flow = client.start("login", aal="aal2")
    answer = client.submit(flow, method="lookup_secret", lookup_secret=codes[1])

    assert answer.status_code == 200, answer.text
    assert client.whoami() == 200


def test_who_gave_the_factor_up_is_not_asked_any_more(clients, member):
    app = clients(Native, member)
    app.log_in()
    enroll_totp(app)
    assert app.submit(app.start("settings"), method="totp", totp_unlink=True).status_code == 200

    fresh = clients(Native, member)
    fresh.log_in()

    assert fresh.whoami() == 200


def test_an_admin_who_takes_a_factor_away_lets_the_member_in(clients, member, admin):
    app = clients(Native, member)
    app.log_in()
    enroll_totp(app)
    path = f"/admin/identities/{member.identity_id}/credentials/totp"
    assert admin.delete(path).status_code == 204

    fresh = clients(Native, member)
    fresh.log_in()

    assert fresh.whoami() == 200


# What a member asks of itself, and what a recovery leaves


def test_a_member_requires_a_second_factor_of_itself(client, clients, member, eventually):
    assert client.ask("GET", "/api/me/second-factor").json() == {
        "enrolled": False,
        "required": False,
        "required_by_role": False,
    }

    answer = client.ask("PUT", "/api/me/second-factor", json={"required": True})

    assert answer.json()["required"] is True
    assert client.whoami() == 403
    assert give_mailed_code(client, member, eventually).status_code == 200
    assert client.whoami() == 200
    fresh = clients(Native, member)
    fresh.log_in()
    assert fresh.whoami() == 403
    assert client.ask("PUT", "/api/me/second-factor", json={"required": False}).status_code == 200
    assert fresh.whoami() == 200


def test_the_password_of_before_a_recovery_needs_the_mailbox(clients, member, stack, eventually):
    """Whoever registered with somebody else's address still knows that password."""
    owner, stranger = clients(Native, member), clients(Native, member)
    flow = owner.start("recovery")
    asked = owner.submit(flow, method="code", email=member.email)
    assert asked.status_code == 200, asked.text
    code = member.code(nth=2)
    recovered = owner.submit(asked.json(), method="code", code=code)
    steps = {step["action"]: step for step in recovered.json()["continue_with"]}
    owner.token = steps["set_ory_session_token"]["ory_session_token"]
    assert owner.whoami() == 200

    assert stranger.log_in().status_code == 200
    assert stranger.whoami() == 403
    assert rows(stack, member)[-1]["hold"] == "recovered"

    member.password = f"{member.password}-new"
    flow = owner.start("settings")
    assert owner.submit(flow, method="password", password=member.password).status_code == 200
    assert stranger.whoami() == 401
    fresh = clients(Native, member)
    fresh.log_in()
    assert fresh.whoami() == 200
