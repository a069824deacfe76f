"""Logging in with another account, as a person does it in a browser, without any script of ours."""

import secrets

import httpx
import pytest

from tests.browser.browser import Browser
from tests.browser.test_first_life import Newcomer, code_in, newest_mail
from tests.private_stack import PrivateStack
from tests.system.openid import Account

WITH_DEMO = "Sign in with Demo provider"


@pytest.fixture
def account(stack: PrivateStack) -> Account:
    """Somebody's account elsewhere, with a name of its own to find its button by."""
    url = stack.facts["oidc_provider_url"]
    return Account(url, name=f"Ada {secrets.token_hex(3)}")


def agree(browser: Browser, account: Account) -> None:
    assert browser.heading == "Demo provider"
    browser.press(f"Continue as {account.claims['name']}")


def test_one_press_here_and_one_there_and_somebody_new_is_logged_in(
    browser: Browser, account: Account
) -> None:
    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)
    assert browser.heading == f"Hello, {account.username}"

    browser.follow("Log out")
    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)
    assert browser.heading == f"Hello, {account.username}"


def test_who_says_no_elsewhere_reads_plain_words_here(browser: Browser) -> None:
    browser.open("/login")
    browser.press(WITH_DEMO)
    browser.press("Cancel")
    assert browser.path == "/login"
    assert "The other site did not log you in." in browser.text
    assert "OpenID" not in browser.text


def test_a_username_is_asked_for_where_the_other_site_knows_none(
    browser: Browser, account: Account
) -> None:
    account.tell(preferred_username="admin")
    browser.open("/registration")
    browser.press("Sign up with Demo provider")
    agree(browser, account)
    assert browser.path == "/registration"
    assert "reserved" in browser.error_at("Username")
    assert browser.value_of("E-mail address") == account.email

    name = f"ada-{secrets.token_hex(3)}"
    browser.fill("Username", name)
    browser.press("Continue")
    agree(browser, account)
    assert browser.heading == f"Hello, {name}"


def test_an_address_that_nobody_vouches_for_is_confirmed_by_mail(
    browser: Browser, account: Account
) -> None:
    account.tell(email_verified=False)
    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)
    assert browser.path == "/verification"

    newest_mail(browser, of(account), about="confirm your e-mail address")
    browser.follow_in_mail()
    browser.press("Confirm my address")
    browser.follow("Log in")
    browser.press(WITH_DEMO)
    agree(browser, account)
    assert browser.heading == f"Hello, {account.username}"


def test_an_account_that_is_here_already_is_linked_with_its_password(
    browser: Browser, account: Account
) -> None:
    somebody = Newcomer()
    browser.open("/registration")
    browser.fill("E-mail address", somebody.email)
    browser.fill("Username", somebody.username)
    browser.fill("Password", somebody.password)
    browser.press("Create my account")
    mail = newest_mail(browser, somebody, about="confirm your e-mail address")
    assert code_in(mail)
    browser.follow_in_mail()
    browser.press("Confirm my address")
    account.tell(email=somebody.email)

    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)
    assert "An account with this address is here already." in browser.text
    browser.fill("Password", somebody.password)
    browser.press("Log in")
    assert browser.heading == f"Hello, {somebody.username}"

    browser.open("/account/settings")
    browser.press("Unlink Demo provider")
    assert "Your changes are saved" in browser.text
    browser.press("Link Demo provider")
    agree(browser, account)
    assert browser.path == "/account/settings"
    browser.open("/account/security")
    assert "An account elsewhere was linked" in browser.text


def test_who_is_suspended_reads_that_the_account_is_closed(
    browser: Browser, account: Account, stack: PrivateStack
) -> None:
    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)
    me = httpx.get(
        f"{stack.edge_url}/api/me", cookies=browser.cookies_for(stack.edge_url), timeout=30
    ).json()
    suspend(stack, me["id"])

    browser.open("/login")
    browser.press(WITH_DEMO)
    agree(browser, account)

    assert browser.heading == "This account is closed to logins"
    browser.open("/")
    assert browser.heading == "Welcome"


def suspend(stack: PrivateStack, identity_id: str) -> None:
    httpx.patch(
        f"{stack.edge_url}/admin/identities/{identity_id}",
        json=[{"op": "replace", "path": "/state", "value": "inactive"}],
        headers={"authorization": f"Bearer {stack.facts['admin_api_key']}"},
        timeout=30,
    ).raise_for_status()


def of(account: Account) -> Newcomer:
    somebody = Newcomer()
    somebody.email = account.email
    return somebody
