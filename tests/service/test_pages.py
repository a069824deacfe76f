"""Pages over HTTP, in front of a stand-in for Kratos that plays its recorded answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from integration.services import make_services
from integration.settings import Settings
from integration.web import pages
from tests.kratos_double import PUBLIC, KratosDouble, serving

FLOW = "0b1e7d5e-3b7c-4d42-8f3e-1f6a9d1c2b3a"
CSRF_VIOLATION = {"error": {"id": "security_csrf_violation", "code": 403}}
NO_SESSION = {"error": {"id": "session_inactive", "code": 401}}
NEEDS_AAL2 = {"error": {"id": "session_aal2_required", "code": 403}}


@contextmanager
def browser(kratos_url: str, *, embedded: bool = False) -> Iterator[TestClient]:
    settings = Settings(
        public_url=f"{PUBLIC}/",
        database_url="postgresql://nobody@/none?host=/nonexistent",
        valkey_url="unix:///nonexistent/valkey.sock",
        kratos_public_url=kratos_url,
        hook_secret="only for this test",
        upstream_timeout="PT2S",
        embedded=embedded,
    )
    app = FastAPI()
    app.state.services = make_services(settings)
    app.include_router(pages.router)
    with TestClient(app, base_url=PUBLIC, follow_redirects=False) as client:
        yield client
    app.state.services.close()


@pytest.fixture
def kratos():
    return KratosDouble()


@pytest.fixture
def client(kratos):
    with serving(kratos) as url, browser(url) as client:
        yield client


def soup(response):
    return BeautifulSoup(response.text, "html.parser")


PAGES = ["login", "registration", "verification", "recovery"]


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


def test_errors_are_announced_and_tied_to_their_fields(client, kratos):
    kratos.recorded("registration", "registration_refused")
    page = soup(client.get(f"/registration?flow={FLOW}"))
    alert = page.find(role="alert")
    field = page.find(id=alert.find("a", string="Username")["href"].removeprefix("#"))
    assert field["aria-invalid"] == "true"
    assert page.find(id=field["aria-describedby"].split()[0]).text in alert.text


def test_what_somebody_typed_is_never_markup(client, kratos):
    kratos.recorded("registration", "registration_refused")
    _, flow = kratos.answers["/self-service/registration/flows"]
    for node in flow["ui"]["nodes"]:
        if node["attributes"]["name"] == "traits.username":
            node["attributes"]["value"] = '"><script>alert(1)</script>'
            node["messages"][0] = {"id": 1, "text": "<img src=x>", "type": "error"}
    response = client.get(f"/registration?flow={FLOW}")
    assert "<script" not in response.text
    assert "<img" not in response.text


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


def test_a_confirmed_address_leads_to_the_login(client, kratos):
    kratos.recorded("verification", "verification_done", return_to="https://app.example.test/")
    page = soup(client.get(f"/verification?flow={FLOW}"))
    assert page.h1.text == "Your address is confirmed"
    assert page.main.find("a")["href"] == "/login?return_to=https%3A%2F%2Fapp.example.test%2F"


@pytest.mark.parametrize(
    "message",
    [
        {
            "id": 9_400_041,
            "type": "error",
            "text": "No.",
            "context": {"code": "email_not_verified"},
        },
        {"id": 4_000_010, "type": "error", "text": "No."},
    ],
)
def test_a_login_before_the_address_is_confirmed_offers_a_new_code(client, kratos, message):
    kratos.recorded("login", "login")
    kratos.answers["/self-service/login/flows"][1]["ui"]["messages"] = [message]
    alert = soup(client.get(f"/login?flow={FLOW}")).find(role="alert")
    assert alert.find("a", string="Send me a new code")["href"] == "/verification"


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


def test_the_start_page_greets_strangers_without_asking_kratos(client, kratos):
    page = soup(client.get("/"))
    assert [a["href"] for a in page.main.find_all("a")] == ["/login", "/registration"]
    assert kratos.asked == []


def test_a_session_that_is_over_is_a_stranger(client, kratos):
    kratos.answers["/sessions/whoami"] = (401, NO_SESSION)
    assert "Welcome" in client.get("/", headers={"cookie": "ory_kratos_session=x"}).text


def test_the_embedded_start_page_shows_the_mailbox(kratos):
    with serving(kratos) as url, browser(url, embedded=True) as client:
        assert soup(client.get("/")).find("a", href="/dev/mailbox")


def test_logging_out_goes_through_kratos_with_its_token(client, kratos):
    token = "ory_lo_x&y"
    answer = {"logout_url": "https://elsewhere.test/", "logout_token": token}
    kratos.answers["/self-service/logout/browser"] = (200, answer)
    response = client.get("/logout", headers={"cookie": "ory_kratos_session=x"})
    assert response.headers["location"] == f"{PUBLIC}/self-service/logout?token=ory_lo_x%26y"


def test_logging_out_without_a_session_leads_home(client, kratos):
    kratos.answers["/self-service/logout/browser"] = (401, NO_SESSION)
    assert client.get("/logout").headers["location"] == "/"


def test_another_site_cannot_log_people_out(client, kratos):
    response = client.get("/logout", headers={"sec-fetch-site": "cross-site"})
    assert response.headers["location"] == "/"
    assert kratos.asked == []


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ({"id": "security_csrf_violation", "code": 403}, "Please start again"),
        ({"code": 401, "message": "identity is disabled"}, "This account is closed to logins"),
        ({"code": 404, "message": "x"}, "That did not work"),
        ({"code": 500, "message": "POST http://10.0.0.1/hooks gave up"}, "Something went wrong"),
    ],
)
def test_errors_are_plain_sentences_without_internals(client, kratos, error, title):
    kratos.answers["/self-service/errors"] = (200, {"id": FLOW, "error": error})
    response = client.get(f"/error?id={FLOW}")
    assert soup(response).h1.text == title
    assert "10.0.0.1" not in response.text


@pytest.mark.parametrize("query", ["", "?id=x", f"?id={FLOW}"])
def test_an_error_nobody_knows_is_a_page_too(client, query):
    assert soup(client.get(f"/error{query}")).h1.text == "Nothing to show"


def test_the_stylesheet_may_be_kept_and_pages_name_its_version(client):
    link = soup(client.get("/")).find("link", rel="stylesheet")["href"]
    response = client.get(link)
    assert response.headers["content-type"].startswith("text/css")
    assert response.headers["cache-control"] == "public, max-age=86400"
    assert response.headers["etag"].strip('"') in link


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_outside_the_embedded_stack_there_is_no_mailbox(client, accept):
    assert client.get("/dev/mailbox", headers={"accept": accept}).status_code == 404


def test_a_mailbox_without_its_database_is_a_page_that_says_try_again(kratos):
    with serving(kratos) as url, browser(url, embedded=True) as client:
        assert client.get("/dev/mailbox").status_code == 503


def test_a_mails_link_is_shown_with_its_code_and_without_asking_for_patience(client, kratos):
    kratos.recorded("verification", "verification_sent")
    page = soup(client.get(f"/verification?flow={FLOW}&code=123456"))
    assert "is filled in" in page.main.text
    assert page.find(role="status") is None


def test_every_button_of_the_settings_says_what_it_does(client, kratos):
    kratos.recorded("settings", "settings")
    page = soup(client.get(f"/account/settings?flow={FLOW}"))
    buttons = [button.text for button in page.find_all("button")]
    assert len(set(buttons)) == len(buttons)
    assert buttons[:3] == ["Save profile", "Save password", "Turn the app on"]
    assert page.find("label", {"for": "password-password"}).text == "New password"


def test_who_comes_by_recovery_is_asked_for_the_password_first(client, kratos):
    kratos.recorded("settings", "settings")
    _, flow = kratos.answers["/self-service/settings/flows"]
    flow["ui"]["messages"] = [{"id": 1060001, "type": "success", "text": "Recovered."}]
    page = soup(client.get(f"/account/settings?flow={FLOW}"))
    assert page.h2.text == "Change your password"
    assert "choose a new password" in page.find(role="status").text


def test_new_backup_codes_come_first_and_the_button_that_keeps_them_stands_out(client, kratos):
    kratos.recorded("settings", "settings_lookup")
    page = soup(client.get(f"/account/settings?flow={FLOW}"))
    assert page.h2.text == "Backup codes"
    button = page.section.find("button", {"name": "lookup_secret_confirm"})
    assert "quiet" not in button.get("class", [])


def test_a_page_with_errors_says_so_in_its_window_title(client, kratos):
    kratos.recorded("registration", "registration_refused")
    page = soup(client.get(f"/registration?flow={FLOW}"))
    assert page.title.text.startswith("Error: ")
    assert not page.h1.text.startswith("Error: ")


def test_the_api_is_listed_on_a_page_of_our_own(client):
    page = soup(client.get("/api/docs"))
    assert page.main.find("a")["href"] == "/openapi.json"
    assert page.find("script") is None


def test_where_there_is_nothing_people_get_a_page_and_programs_do_not(client):
    response = client.get("/nonsense", headers={"accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 404
    assert soup(response).h1.text == "There is no such page"
    assert "html" not in client.get("/nonsense", headers={"accept": "*/*"}).text
    assert client.post("/nonsense", headers={"accept": "text/html"}).status_code == 405
