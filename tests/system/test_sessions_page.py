"""The page of sessions: works without scripts, and for nobody but its member."""

from typing import Any
from uuid import uuid4

import pytest
from bs4 import BeautifulSoup

from tests.session_clients import HTML, Form, Native, enroll_totp, totp

PAGE = "/account/sessions"


@pytest.fixture
def browser(clients, member) -> Any:
    made = clients(Form, member)
    made.log_in()
    return made


def shown(page: BeautifulSoup) -> list[str]:
    return [each.h2.get_text(" ", strip=True) for each in page.select("li.session")]


def post(browser: Form, headers: dict[str, str] | None = None, **fields: str) -> Any:
    return browser.http.post(PAGE, data=fields, headers={**HTML, **(headers or {})})


def token_of(page: BeautifulSoup) -> str:
    return page.find("input", attrs={"name": "token"})["value"]


def test_a_button_ends_one_session_and_another_all(browser, clients, member):
    apps = [clients(Native, member, user_agent=f"ship/{number}") for number in range(3)]
    for app in apps:
        app.log_in()
    _, page = browser.page(PAGE)
    assert shown(page) == ["Firefox this one", "An app", "An app", "An app"]
    session = page.select_one("li.session form input[name=session_id]")["value"]
    ended = next(app for app in apps if app.session["id"] == session)

    assert post(browser, token=token_of(page), session_id=session).status_code == 303
    assert ended.whoami() == 401
    assert len(shown(browser.page(PAGE)[1])) == 3

    assert post(browser, token=token_of(page)).status_code == 303
    assert [app.whoami() for app in apps] == [401, 401, 401]
    assert browser.whoami() == 200
    assert shown(browser.page(PAGE)[1]) == ["Firefox this one"]


def test_no_other_site_can_press_the_button(browser, clients, member, another_person):
    app = clients(Native, member)
    app.log_in()
    another_person.register()
    another_person.verify()
    stranger = clients(Form, another_person)
    stranger.log_in()
    theirs = clients(Native, another_person)
    theirs.log_in()
    _, page = browser.page(PAGE)
    _, other = stranger.page(PAGE)

    assert post(browser).status_code == 403
    assert post(browser, token="0" * 64).status_code == 403
    assert post(browser, token=token_of(other)).status_code == 403
    cross = {"sec-fetch-site": "cross-site"}
    assert post(browser, cross, token=token_of(page)).status_code == 403
    assert app.whoami() == 200

    # A token of one's own opens nothing of somebody else's.
    post(browser, token=token_of(page), session_id=theirs.session["id"])
    post(browser, token=token_of(page), session_id=str(uuid4()))
    assert theirs.whoami() == 200


def test_who_is_not_logged_in_is_led_to_the_login_and_back(clients, member):
    browser = clients(Form, member)
    address, page = browser.page(PAGE)
    assert "/login?flow=" in address

    address, page = browser.press(page, identifier=member.email, password=member.password)

    assert address.endswith(PAGE)
    assert shown(page) == ["Firefox this one"]


def test_who_owes_a_second_factor_is_led_to_it_and_back(browser, clients, member):
    secret = enroll_totp(browser)
    late = clients(Form, member)
    late.log_in()

    address, page = late.page(PAGE)
    assert "/login?flow=" in address
    assert "Send code" not in page.get_text()
    address, page = late.press(page, totp_code=totp(secret))

    assert address.endswith(PAGE)
    assert len(shown(page)) == 2
