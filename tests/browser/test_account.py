"""What a member does to its own account in a browser, without any script on the pages."""

import re
import secrets
import time

import pytest

from tests.browser.browser import Browser
from tests.browser.test_first_life import Newcomer, code_in, log_in, newest_mail
from tests.system.two_ways import totp


@pytest.fixture
def member(browser: Browser) -> Newcomer:
    """Somebody who has just confirmed the address and logged in."""
    somebody = Newcomer()
    browser.open("/registration")
    browser.fill("E-mail address", somebody.email)
    browser.fill("Username", somebody.username)
    browser.fill("Password", somebody.password)
    browser.press("Create my account")
    newest_mail(browser, somebody, about="confirm your e-mail address")
    browser.follow_in_mail()
    browser.press("Confirm my address")
    browser.follow("Log in")
    log_in(browser, somebody.email, somebody.password)
    return somebody


def test_a_second_step_is_turned_on_and_off_and_stays_on_its_page(
    browser: Browser, member: Newcomer
) -> None:
    browser.follow("Security")
    assert (browser.path, browser.heading) == ("/account/security", "Security")
    assert browser.page.find("img", src=re.compile("^data:image/png"))
    browser.fill("Code from your authenticator app", "000000")
    browser.press("Turn the app on")
    assert browser.path == "/account/security"
    assert "This code is wrong" in browser.text

    key = "".join(span.text for span in browser.page.select(".secrets code span"))
    browser.fill("Code from your authenticator app", totp(key))
    browser.press("Turn the app on")
    assert browser.path == "/account/security"
    assert "Your changes are saved" in browser.text
    assert "A second step was turned on: the authenticator app." in browser.text

    browser.press("Make new backup codes")
    assert browser.path == "/account/security"
    assert len(browser.page.select(".secrets li")) == 12
    browser.press("I have kept them, turn them on")
    assert "A second step was turned on: backup codes." in browser.text
    browser.press("Remove the authenticator app")
    assert "A second step was turned off: the authenticator app." in browser.text
    browser.follow("Profile and address")
    assert browser.path == "/account/settings"


def test_a_password_is_changed_on_the_page_about_security(
    browser: Browser, member: Newcomer
) -> None:
    browser.open("/account/security")
    browser.fill("New password", "short")
    # Browsers count for themselves; the rules have more to say.
    browser.fill("New password", "too-simple-1")
    browser.press("Save password")
    assert browser.path == "/account/security"
    assert "capital" in browser.error_at("New password")
    browser.fill("New password", member.new_password)
    browser.press("Save password")
    assert browser.heading == "Your password is changed"
    browser.follow("Log in")
    log_in(browser, member.email, member.new_password)
    assert browser.heading == f"Hello, {member.username}"


def test_an_address_is_changed_confirmed_and_taken_back(browser: Browser, member: Newcomer) -> None:
    old, new = member.email, f"{secrets.token_hex(4)}@example.test"
    browser.open("/account/settings")
    browser.fill("E-mail address", f"wrong-{new}")
    browser.press("Save profile")
    assert browser.path == "/account/settings"
    assert f"change your e-mail address to wrong-{new}" in browser.text
    assert browser.value_of("E-mail address") == old
    browser.press("Keep my present address")
    assert "Your changes are saved" in browser.text
    assert new not in browser.text

    browser.fill("E-mail address", new)
    browser.press("Save profile")
    member.email = new
    mail = newest_mail(browser, member, about="confirm your e-mail address")
    browser.follow_in_mail()
    assert browser.value_of("Code from the mail") == code_in(mail)
    browser.press("Confirm my address")
    assert browser.heading == "Your address is confirmed"
    await_address(browser, new)

    member.email = old
    newest_mail(browser, member, about="was changed")
    browser.follow_in_mail()
    assert browser.path == "/email-revert"
    browser.press("It was not me")
    assert browser.heading == "Your old address is back"
    browser.follow("Choose a new password")
    assert browser.path == "/recovery"
    browser.open("/account/settings")
    assert browser.path == "/login"


def await_address(browser: Browser, email: str) -> None:
    deadline = time.monotonic() + 60
    browser.open("/account/settings")
    while browser.value_of("E-mail address") != email:
        assert time.monotonic() < deadline, browser.text
        browser.open("/account/settings")
