"""A member's first life as a person lives it in a browser, without any script on the pages."""

import re
import secrets
import time

import httpx
import pytest

from tests.browser.browser import Browser, Mail
from tests.private_stack import PrivateStack

MAIL_SECONDS = 60.0


class Newcomer:
    """What somebody who comes for the first time has in mind."""

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        self.email = f"{name}@example.test"
        self.username = f"ada-{name}"
        self.password = f"Correct-Horse-{secrets.token_hex(4)}"
        self.new_password = f"Battery-Staple-{secrets.token_hex(4)}"


@pytest.fixture
def newcomer() -> Newcomer:
    return Newcomer()


def test_from_the_start_page_to_a_new_password(
    browser: Browser, newcomer: Newcomer, stack: PrivateStack
) -> None:
    registration_flow_id = sign_up(browser, newcomer)

    mail = newest_mail(browser, newcomer, about="confirm your e-mail address")
    browser.follow_in_mail()
    assert browser.path == "/verification"
    assert browser.value_of("Code from the mail") == code_in(mail)
    the_link = browser.address
    assert email_step(browser, stack, registration_flow_id) == "waiting"
    be_refused_before_the_address_is_confirmed(browser, newcomer)

    browser.go(the_link)
    browser.press("Confirm my address")
    assert browser.heading == "Your address is confirmed"
    assert email_step(browser, stack, registration_flow_id) == "completed"
    browser.go(the_link)
    assert browser.heading == "Your address is confirmed"

    browser.follow("Log in")
    log_in(browser, newcomer.email, newcomer.password)
    assert browser.heading == f"Hello, {newcomer.username}"
    assert "You are logged in" in browser.text

    change_the_first_name(browser)
    browser.follow("Log out")
    assert browser.heading == "Welcome"

    choose_a_new_password(browser, newcomer)
    browser.follow("Log in")
    log_in(browser, newcomer.username, newcomer.password)
    assert "That does not match" in browser.text
    log_in(browser, newcomer.username, newcomer.new_password)
    assert browser.heading == f"Hello, {newcomer.username}"


def test_a_code_is_sent_again_to_somebody_who_lost_the_mail(
    browser: Browser, newcomer: Newcomer
) -> None:
    sign_up(browser, newcomer)
    first = newest_mail(browser, newcomer, about="confirm your e-mail address")
    browser.open("/login")
    log_in(browser, newcomer.email, newcomer.password)
    browser.follow("Send me a new code")
    browser.fill("E-mail address", newcomer.email)
    browser.press("Send me a code")
    page = browser.address

    second = newest_mail(browser, newcomer, about="confirm your e-mail address", after=first)
    browser.go(page)
    browser.fill("Code from the mail", code_in(second))
    browser.press("Confirm my address")

    assert browser.heading == "Your address is confirmed"


def test_settings_are_for_those_who_are_logged_in(browser: Browser) -> None:
    browser.open("/account/settings")
    assert browser.path == "/login"


def sign_up(browser: Browser, newcomer: Newcomer) -> str:
    """Sign up, at first with a name nobody may have; return the registration flow's id."""
    browser.open("/")
    assert browser.heading == "Welcome"
    browser.follow("Create an account")
    assert browser.path == "/registration"
    flow_id = browser.flow_id
    browser.fill("E-mail address", newcomer.email)
    browser.fill("Username", "admin")
    browser.fill("Password", newcomer.password)
    browser.press("Create my account")

    assert "reserved" in browser.error_at("Username")
    assert browser.value_of("E-mail address") == newcomer.email
    assert browser.value_of("Password") == ""

    browser.fill("Username", newcomer.username)
    browser.fill("Password", newcomer.password)
    browser.press("Create my account")
    assert browser.path == "/verification"
    assert "We sent a mail" in browser.text
    assert browser.value_of("Code from the mail") == ""
    return flow_id


def be_refused_before_the_address_is_confirmed(browser: Browser, newcomer: Newcomer) -> None:
    browser.open("/login")
    log_in(browser, newcomer.email, newcomer.password)
    assert browser.path == "/login"
    assert "verify your e-mail address" in browser.text
    browser.follow("Send me a new code")
    assert browser.path == "/verification"
    browser.open("/")
    assert browser.heading == "Welcome"


def log_in(browser: Browser, identifier: str, password: str) -> None:
    browser.fill("E-mail address or username", identifier)
    browser.fill("Password", password)
    browser.press("Log in")


def change_the_first_name(browser: Browser) -> None:
    browser.follow("Account settings")
    assert browser.path == "/account/settings"
    browser.fill("First name", "Augusta")
    browser.press("Save profile")
    assert "Your changes are saved" in browser.text
    browser.open("/account/settings")
    assert browser.value_of("First name") == "Augusta"


def choose_a_new_password(browser: Browser, newcomer: Newcomer) -> None:
    browser.follow("Log in")
    browser.follow("I forgot my password")
    browser.fill("E-mail address", newcomer.email)
    browser.press("Send me a code")
    assert browser.heading == "Enter the code"
    page = browser.address

    mail = newest_mail(browser, newcomer, about="account")
    browser.go(page)
    browser.fill("Code from the mail", code_in(mail))
    browser.press("Continue")
    assert browser.path == "/account/security"
    assert "choose a new password" in browser.text
    browser.fill("New password", newcomer.new_password)
    browser.press("Save password")
    assert browser.heading == "Your password is changed"


def newest_mail(
    browser: Browser, newcomer: Newcomer, *, about: str, after: Mail | None = None
) -> Mail:
    """Look into the mailbox until a mail about something is on top, another one than `after`."""
    browser.open("/dev/mailbox")
    deadline = time.monotonic() + MAIL_SECONDS
    while True:
        browser.fill("Only mail to", newcomer.email)
        browser.press("Show")
        mail = browser.newest_mail()
        if mail is not None and about in mail.subject and mail != after:
            return mail
        assert time.monotonic() < deadline, f"no mail about {about!r}; the newest is {mail}"
        time.sleep(0.2)


def code_in(mail: Mail) -> str:
    found = re.search(r"^\d{6}$", mail.text, re.M)
    assert found is not None, mail.text
    return found[0]


def email_step(browser: Browser, stack: PrivateStack, flow_id: str) -> str:
    """Return how far the step of confirming the address is, as the API tells it."""
    url = f"{stack.edge_url}/api/flows/{flow_id}"
    answer = httpx.get(url, cookies=browser.cookies_for(url), timeout=30)
    answer.raise_for_status()
    states = {step["name"]: step["state"] for step in answer.json()["steps"]}
    return str(states["email_verification"])
