"""What pages say: in plain words, at the right place, and never as markup."""

import pytest

from tests.kratos_double import KratosDouble, serving
from tests.page_stage import FLOW, browser, soup


@pytest.fixture
def kratos():
    return KratosDouble()


@pytest.fixture
def client(kratos):
    with serving(kratos) as url, browser(url) as client:
        yield client


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


def test_a_mails_link_is_shown_with_its_code_and_without_asking_for_patience(client, kratos):
    kratos.recorded("verification", "verification_sent")
    page = soup(client.get(f"/verification?flow={FLOW}&code=123456"))
    assert "is filled in" in page.main.text
    assert page.find(role="status") is None


def test_every_button_of_the_settings_says_what_it_does(client, kratos):
    kratos.recorded("settings", "settings")
    profile = soup(client.get(f"/account/settings?flow={FLOW}"))
    page = soup(client.get(f"/account/security?flow={FLOW}"))
    buttons = [button.text for button in page.find_all("button")]
    assert len(set(buttons)) == len(buttons)
    assert [button.text for button in profile.find_all("button")] == ["Save profile", "Link Demo"]
    assert buttons[:2] == ["Save password", "Turn the app on"]
    assert page.find("label", {"for": "password-password"}).text == "New password"


def test_who_comes_by_recovery_is_asked_for_the_password_first(client, kratos):
    kratos.recorded("settings", "settings")
    _, flow = kratos.answers["/self-service/settings/flows"]
    flow["ui"]["messages"] = [{"id": 1060001, "type": "success", "text": "Recovered."}]
    page = soup(client.get(f"/account/security?flow={FLOW}"))
    assert page.h2.text == "Change your password"
    assert "choose a new password" in page.find(role="status").text


def test_new_backup_codes_come_first_and_the_button_that_keeps_them_stands_out(client, kratos):
    kratos.recorded("settings", "settings_lookup")
    page = soup(client.get(f"/account/security?flow={FLOW}"))
    assert page.h2.text == "Backup codes"
    button = page.section.find("button", {"name": "lookup_secret_confirm"})
    assert "quiet" not in button.get("class", [])


def test_a_page_with_errors_says_so_in_its_window_title(client, kratos):
    kratos.recorded("registration", "registration_refused")
    page = soup(client.get(f"/registration?flow={FLOW}"))
    assert page.title.text.startswith("Error: ")
    assert not page.h1.text.startswith("Error: ")


def test_who_confirms_twice_is_told_that_it_is_done(client, kratos):
    kratos.recorded("verification", "verification")
    message = {"id": 4070002, "type": "error", "text": "The request was already completed."}
    kratos.answers["/self-service/verification/flows"][1]["ui"]["messages"] = [message]
    page = soup(client.get(f"/verification?flow={FLOW}"))
    assert page.h1.text == "Your address is confirmed"
    assert page.main.find("a")["href"] == "/login"


@pytest.mark.parametrize(
    ("kind", "message_id", "sentence"),
    [
        ("login", 4010001, "This page was open for too long."),
        ("registration", 4040001, "This page was open for too long."),
        ("registration", 4000007, "This e-mail address or username is taken."),
        ("recovery", 4060005, "The code is too old."),
        ("verification", 4070005, "The code is too old."),
    ],
)
def test_what_went_wrong_is_said_in_plain_words(client, kratos, kind, message_id, sentence):
    kratos.recorded(kind, kind)
    message = {"id": message_id, "type": "error", "text": "The flow expired 1.00 minutes ago."}
    kratos.answers[f"/self-service/{kind}/flows"][1]["ui"]["messages"] = [message]
    alert = soup(client.get(f"/{kind}?flow={FLOW}")).find(role="alert")
    assert sentence in alert.text
    assert "1.00 minutes" not in alert.text


def test_a_backup_code_that_was_used_is_marked_and_the_others_stay(client, kratos):
    kratos.recorded("settings", "settings_lookup")
    for node in kratos.answers["/self-service/settings/flows"][1]["ui"]["nodes"]:
        if node["group"] == "lookup_secret" and node["type"] == "text":
            listed = node["attributes"]["text"]["context"]["secrets"]
            listed[0] = {"id": 1050014, "text": "Secret was used at 2026-01-01", "type": "info"}
    page = soup(client.get(f"/account/security?flow={FLOW}"))
    shown = [item.text for item in page.section.select(".secrets li")]
    assert shown[0].strip() == "used"
    assert [text.strip() for text in shown[1:]] == [item["text"] for item in listed[1:]]


def test_an_address_that_waits_is_shown_with_what_can_be_done_about_it(client, kratos):
    kratos.recorded("settings", "settings")
    _, flow = kratos.answers["/self-service/settings/flows"]
    for node in flow["ui"]["nodes"]:
        if node["attributes"].get("name") == "traits.pending_email":
            node["attributes"]["value"] = "new@example.test"
    page = soup(client.get(f"/account/settings?flow={FLOW}"))
    assert "new@example.test" in page.section.find(class_="purpose").text
    assert page.section.find("a")["href"] == "/verification"
    saving, cancelling = page.section.find_all("form")
    assert saving.find("input", {"name": "traits.pending_email"})["value"] == "new@example.test"
    assert cancelling.find("button").text == "Keep my present address"
    assert cancelling.find("input", {"name": "traits.pending_email"}) is None
    assert cancelling.find("input", {"name": "traits.email"})["value"]
    assert cancelling.find("input", {"name": "traits.username"})["value"]
