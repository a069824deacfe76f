"""A role that needs a second factor, on real Kratos: an admin without one is asked to enrol, and
has to give it from then on. Clients know only Kratos."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import ory_client
import pytest
from bs4 import BeautifulSoup
from ory_client import (
    FrontendApi,
    UpdateLoginFlowBody,
    UpdateLoginFlowWithCodeMethod,
    UpdateLoginFlowWithTotpMethod,
    UpdateSettingsFlowBody,
    UpdateSettingsFlowWithTotpMethod,
)
from ory_client.exceptions import ForbiddenException

from tests.private_stack import PrivateStack
from tests.session_clients import (
    Form,
    Native,
    Spa,
    enroll_lookup_codes,
    enroll_totp,
    groups_in,
    login_code,
    totp,
)

REASON = {"role": "admin", "reason": "a test"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateStack]:
    """A stack of its own: admins and moderators need a second factor here."""
    settings = {"KLEIS_SECOND_FACTOR_ROLES": "admin,moderator"}
    private = PrivateStack(tmp_path_factory.mktemp("roles"), settings)
    try:
        private.start()
        yield private
    finally:
        private.close()


@pytest.fixture
def clients(stack: PrivateStack) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(kind: type, whose: Any) -> Any:
        made.append(kind(stack, whose))
        assert made[-1].log_in().status_code == 200
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def boss(person: Any, admin: httpx.Client) -> Any:
    """Somebody who was made an admin, and has a password alone."""
    person.register()
    person.verify()
    path = f"/api/admin/members/{person.identity_id}/role"
    assert admin.put(path, json=REASON).status_code == 200
    return person


def give_mailed_code(client: Any, person: Any, eventually: Any, *, nth: int = 1) -> None:
    flow = client.start("login", aal="aal2")
    assert groups_in(flow) >= {"code"}
    sent = client.submit(flow, method="code", identifier=person.email).json()
    code = login_code(person, eventually, nth=nth)
    assert client.submit(sent, method="code", code=code).status_code == 200


def give_totp(client: Any, secret: str) -> httpx.Response:
    flow = client.start("login", aal="aal2")
    assert groups_in(flow) & {"totp", "code"} == {"totp"}
    return client.submit(flow, method="totp", totp_code=totp(secret))


def standing_of(client: Any) -> dict[str, bool]:
    return client.ask("GET", "/api/me/second-factor").json()


@pytest.mark.parametrize("kind", [Native, Spa])
def test_an_admin_enrols_and_gives_it_from_then_on(kind, boss, clients, eventually):
    client = clients(kind, boss)
    for path in ("/sessions/whoami", "/sessions", "/api/me", "/api/admin/members"):
        assert client.ask("GET", path).status_code in (403, 404), path
    assert client.whoami() == 403
    give_mailed_code(client, boss, eventually)
    assert client.whoami() == 200
    assert standing_of(client) == {
        "enrolled": False,
        "required": False,
        "required_by_role": True,
    }

    secret = enroll_totp(client)

    assert standing_of(client)["enrolled"] is True
    assert client.whoami() == 200
    fresh = clients(kind, boss)
    assert fresh.whoami() == 403
    # The mailbox does not count any more.
    flow = fresh.start("login", aal="aal2")
    mailed = fresh.submit(flow, method="code", identifier=boss.email)
    assert mailed.status_code == 403
    assert mailed.json()["type"] == "urn:kleis:problem:mailed_code_not_accepted"
    assert give_totp(fresh, secret).status_code == 200
    assert fresh.whoami() == 200


def test_backup_codes_do_as_well(boss, clients, eventually):
    client = clients(Native, boss)
    give_mailed_code(client, boss, eventually)

    codes = enroll_lookup_codes(client)

    fresh = clients(Native, boss)
    assert fresh.whoami() == 403
    flow = fresh.start("login", aal="aal2")
    assert fresh.submit(flow, method="lookup_secret", lookup_secret=codes[0]).status_code == 200
    assert fresh.whoami() == 200


def test_a_role_cannot_be_asked_for_less(boss, clients, eventually):
    client = clients(Native, boss)
    give_mailed_code(client, boss, eventually)

    answer = client.ask("PUT", "/api/me/second-factor", json={"required": False})

    assert answer.json()["required_by_role"] is True
    assert clients(Native, boss).whoami() == 403


def test_who_gives_the_app_up_is_asked_for_the_mailbox_again(boss, clients, eventually):
    client = clients(Native, boss)
    give_mailed_code(client, boss, eventually)
    enroll_totp(client)
    unlinked = client.submit(client.start("settings"), method="totp", totp_unlink=True)
    assert unlinked.status_code == 200

    fresh = clients(Native, boss)

    assert fresh.whoami() == 403
    give_mailed_code(fresh, boss, eventually, nth=2)
    assert fresh.whoami() == 200


def test_a_session_of_before_the_role_needs_one_at_once(person, admin, clients, eventually):
    person.register()
    person.verify()
    client = clients(Native, person)
    assert client.whoami() == 200

    path = f"/api/admin/members/{person.identity_id}/role"
    admin.put(path, json={**REASON, "role": "moderator"}).raise_for_status()

    eventually(lambda: client.whoami() == 403)
    admin.put(path, json={**REASON, "role": "user"}).raise_for_status()
    eventually(lambda: client.whoami() == 200)


def test_one_call_logins_and_tokens_wait_for_it_too(stack, boss, clients, eventually):
    body = {"identifier": boss.email, "password": boss.password}
    refused = httpx.post(f"{stack.edge_url}/api/auth/login", json=body, timeout=30)
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:kleis:problem:session_aal2_required"
    client = clients(Native, boss)
    client.token = refused.json()["session_token"]
    assert client.ask("POST", "/api/tokens", json={}).status_code == 403

    give_mailed_code(client, boss, eventually)

    made = client.ask("POST", "/api/tokens", json={})
    assert made.status_code in (200, 201), made.text
    assert made.json()["access_token"]


def test_an_unmodified_sdk_enrols_and_gives_it(stack, boss, eventually):
    with ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url)) as api:
        front = FrontendApi(api)
        token = boss.log_in()
        with pytest.raises(ForbiddenException) as refused:
            front.to_session(x_session_token=token)
        assert "session_aal2_required" in refused.value.body
        with pytest.raises(ForbiddenException):
            front.create_native_settings_flow(x_session_token=token)
        flow = front.create_native_login_flow(aal="aal2", x_session_token=token)
        asked = UpdateLoginFlowWithCodeMethod(method="code", identifier=boss.email, csrf_token="")
        with pytest.raises(ory_client.ApiException):  # Kratos' 400 "the code is sent"
            front.update_login_flow(str(flow.id), UpdateLoginFlowBody(asked), x_session_token=token)
        code = login_code(boss, eventually)
        given = UpdateLoginFlowWithCodeMethod(method="code", code=code, csrf_token="")
        front.update_login_flow(str(flow.id), UpdateLoginFlowBody(given), x_session_token=token)

        settings = front.create_native_settings_flow(x_session_token=token)
        secret = next(
            node.attributes.actual_instance.text.text
            for node in settings.ui.nodes
            if getattr(node.attributes.actual_instance, "id", "") == "totp_secret_key"
        )
        enrol = UpdateSettingsFlowWithTotpMethod(method="totp", totp_code=totp(secret))
        body = UpdateSettingsFlowBody(enrol)
        front.update_settings_flow(str(settings.id), body, x_session_token=token)

        fresh = boss.log_in()
        with pytest.raises(ForbiddenException):
            front.to_session(x_session_token=fresh)
        flow = front.create_native_login_flow(aal="aal2", x_session_token=fresh)
        proof = UpdateLoginFlowWithTotpMethod(method="totp", totp_code=totp(secret))
        front.update_login_flow(str(flow.id), UpdateLoginFlowBody(proof), x_session_token=fresh)
        assert front.to_session(x_session_token=fresh).authenticator_assurance_level == "aal2"
        api.rest_client.pool_manager.clear()


def test_a_browser_is_led_to_the_mailed_code_and_asked_to_enrol(stack, boss, clients, eventually):
    browser = clients(Form, boss)
    address, page = browser.page(f"{stack.edge_url}/self-service/settings/browser")
    assert "/login?flow=" in address
    _, page = browser.press(page, address=boss.email)
    address, page = browser.press(page, code=login_code(boss, eventually))
    assert "/account/settings?flow=" in address

    _, page = browser.page(f"{stack.edge_url}/account/security")

    assert "Your role asks for a second step" in page.text
    key = _key_in(page)
    address, page = browser.press(page, totp_code=totp(key))
    assert browser.whoami() == 200
    _, page = browser.page(f"{stack.edge_url}/account/security")
    assert "Your role asks for a second step" not in page.text

    fresh = clients(Form, boss)
    _, page = fresh.page(f"{stack.edge_url}/self-service/settings/browser")
    address, page = fresh.press(page, totp_code=totp(key))
    assert "/account/settings?flow=" in address
    assert fresh.whoami() == 200


def _key_in(page: BeautifulSoup) -> str:
    """Return the key a person would type into the app."""
    return "".join(span.text for span in page.select(".secrets code span"))
