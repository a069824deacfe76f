"""Pages of Kratos' flows: which one a browser gets, and where it is sent instead."""

import pytest

from tests.kratos_double import PUBLIC, KratosDouble, serving
from tests.page_stage import CSRF_VIOLATION, FLOW, NEEDS_AAL2, NO_SESSION, browser, soup

PAGES = ["login", "registration", "verification", "recovery"]


@pytest.fixture
def kratos():
    return KratosDouble()


@pytest.fixture
def client(kratos):
    with serving(kratos) as url, browser(url) as client:
        yield client


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_without_a_flow_starts_one_at_kratos(client, kind):
    response = client.get(f"/{kind}")
    assert response.status_code == 303
    assert response.headers["location"] == f"{PUBLIC}/self-service/{kind}/browser"


def test_what_is_safe_of_the_query_is_passed_on(client):
    response = client.get("/login?return_to=/account/settings&aal=aal2&refresh=true&evil=1")
    assert response.headers["location"] == (
        f"{PUBLIC}/self-service/login/browser?return_to=%2Faccount%2Fsettings&refresh=true&aal=aal2"
    )


@pytest.mark.parametrize("kind", PAGES)
def test_a_flow_is_shown_as_forms_that_post_to_kratos(client, kratos, kind):
    kratos.recorded(kind, kind)
    response = client.get(f"/{kind}?flow={FLOW}", headers={"cookie": "csrf_token_x=abc"})
    assert response.status_code == 200
    assert kratos.asked == [
        (f"/self-service/{kind}/flows", {"id": [FLOW]}, "csrf_token_x=abc"),
    ]
    for form in soup(response).find_all("form"):
        assert form["action"].startswith(f"{PUBLIC}/self-service/{kind}?flow=")
        assert form["method"] == "post"
        assert form.find("input", {"name": "csrf_token"})["value"] == "csrf-token"


@pytest.mark.parametrize("kind", [*PAGES, "settings"])
def test_pages_are_built_for_everybody(client, kratos, kind):
    kratos.recorded(kind, kind)
    path = "/account/settings" if kind == "settings" else f"/{kind}"
    page = soup(client.get(f"{path}?flow={FLOW}"))
    assert page.html["lang"] == "en"
    assert page.title.text.endswith("Kleis")
    assert len(page.find_all("h1")) == len(page.find_all("main")) == 1
    assert page.find("script") is None
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    for field in page.select("input:not([type=hidden])"):
        assert page.find("label", {"for": field["id"]})
        for described in field.get("aria-describedby", "").split():
            assert described in ids


def test_every_page_has_its_headers(client, kratos):
    kratos.recorded("login", "login_refresh")
    headers = client.get(f"/login?flow={FLOW}").headers
    assert "script-src" not in headers["content-security-policy"]
    assert f"form-action 'self' {PUBLIC}" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_a_login_may_end_at_the_application_that_asked_for_it(client, kratos):
    kratos.recorded("login", "login_refresh", return_to="https://app.example.test/cb?a=b")
    policy = client.get(f"/login?flow={FLOW}").headers["content-security-policy"]
    assert policy.endswith(f"form-action 'self' {PUBLIC} https://app.example.test")


def test_where_a_provider_may_be_next_forms_are_not_held_back(client, kratos):
    kratos.recorded("login", "login")
    assert "form-action" not in client.get(f"/login?flow={FLOW}").headers["content-security-policy"]


def test_the_mails_link_fills_the_code_in_and_changes_nothing(client, kratos):
    kratos.recorded("verification", "verification_sent")
    response = client.get(f"/verification?flow={FLOW}&code=123456")
    assert soup(response).find("input", {"name": "code"})["value"] == "123456"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert [path for path, _, _ in kratos.asked] == ["/self-service/verification/flows"]


@pytest.mark.parametrize("code", ["12345", "1234567", "12a456", '"><b>', "١٢٣٤٥٦"])
def test_a_code_that_is_none_is_not_reflected(client, kratos, code):
    kratos.recorded("verification", "verification_sent")
    response = client.get(f"/verification?flow={FLOW}", params={"flow": FLOW, "code": code})
    assert soup(response).find("input", {"name": "code"}).get("value") is None


@pytest.mark.parametrize("status", [404, 410])
def test_a_flow_that_is_gone_is_replaced_by_a_fresh_one(client, kratos, status):
    kratos.refuses("login", status, {"error": {"code": status}})
    response = client.get(f"/login?flow={FLOW}")
    assert response.headers["location"] == f"{PUBLIC}/self-service/login/browser"


def test_what_is_no_flow_id_never_reaches_kratos(client, kratos):
    response = client.get("/login", params={"flow": "../../admin/identities"})
    assert response.headers["location"] == f"{PUBLIC}/self-service/login/browser"
    assert kratos.asked == []


def test_the_flow_of_another_browser_is_replaced_once(client, kratos):
    kratos.refuses("login", 403, CSRF_VIOLATION)
    again = client.get(f"/login?flow={FLOW}")
    assert again.headers["location"] == "/login?again=1"
    start = client.get("/login?again=1")
    assert start.headers["location"] == f"{PUBLIC}/self-service/login/browser"
    assert "Cookies are needed" in client.get(f"/login?flow={FLOW}").text


def test_a_browser_without_cookies_gets_a_page_and_no_loop(client, kratos):
    kratos.refuses("login", 403, CSRF_VIOLATION)
    client.get(f"/login?flow={FLOW}")
    client.cookies.clear()
    response = client.get("/login?again=1")
    assert response.status_code == 400
    assert soup(response).h1.text == "Cookies are needed"


@pytest.mark.parametrize(("status", "body"), [(401, NO_SESSION), (302, b"")])
def test_settings_without_a_session_lead_to_the_login_and_back(client, kratos, status, body):
    kratos.refuses("settings", status, body)
    response = client.get(f"/account/settings?flow={FLOW}")
    assert response.headers["location"] == (
        f"{PUBLIC}/self-service/login/browser"
        "?return_to=http%3A%2F%2F127.0.0.1%3A4455%2Faccount%2Fsettings"
    )


def test_settings_that_need_a_second_step_lead_there(client, kratos):
    kratos.refuses("settings", 403, NEEDS_AAL2)
    response = client.get(f"/account/settings?flow={FLOW}")
    assert response.headers["location"].endswith("account%2Fsettings&aal=aal2")


@pytest.mark.parametrize(("status", "body"), [(500, {"error": {}}), (200, b"no json"), (200, {})])
def test_a_kratos_that_makes_no_sense_is_a_page_that_says_try_again(client, kratos, status, body):
    kratos.refuses("login", status, body)
    response = client.get(f"/login?flow={FLOW}")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert soup(response).h1.text == "Please try again in a moment"


def test_a_kratos_that_is_down_is_a_page_that_says_try_again():
    with browser("http://127.0.0.1:9/") as client:
        assert client.get(f"/login?flow={FLOW}").status_code == 503
        assert client.get("/", headers={"cookie": "ory_kratos_session=x"}).status_code == 503


def test_the_page_about_security_starts_a_flow_and_is_come_back_to(client, kratos):
    kratos.recorded("settings", "settings")
    kratos.answers["/self-service/settings/flows"][1]["id"] = FLOW
    response = client.get("/account/security")
    assert response.headers["location"] == f"{PUBLIC}/self-service/settings/browser"

    response = client.get(f"/account/settings?flow={FLOW}")
    assert response.headers["location"] == f"/account/security?flow={FLOW}"
    assert soup(client.get(response.headers["location"])).h1.text == "Security"
    # Kratos sends every form of this flow back to the other page.
    assert client.get(f"/account/settings?flow={FLOW}").status_code == 303

    client.get("/account/settings")
    assert soup(client.get(f"/account/settings?flow={FLOW}")).h1.text == "Account settings"


def test_what_is_wrong_with_a_password_is_said_where_it_is_typed(client, kratos):
    kratos.recorded("settings", "settings")
    _, flow = kratos.answers["/self-service/settings/flows"]
    flow["id"] = FLOW
    for node in flow["ui"]["nodes"]:
        if node["attributes"].get("name") == "password":
            node["messages"] = [{"id": 9400061, "type": "error", "text": "Too short."}]
    response = client.get(f"/account/settings?flow={FLOW}")
    assert response.headers["location"] == f"/account/security?flow={FLOW}"


def test_security_without_a_session_leads_to_the_login_and_back(client, kratos):
    kratos.refuses("settings", 401, NO_SESSION)
    response = client.get(f"/account/security?flow={FLOW}")
    assert response.headers["location"].endswith("account%2Fsecurity")
