"""What a single-page application does: browser flows in JSON, with cookies and CSRF tokens."""

from collections.abc import Iterator

import httpx
import pytest

JSON = {"accept": "application/json"}


@pytest.fixture
def browser(stack) -> Iterator[httpx.Client]:
    """A browser's cookie jar."""
    with httpx.Client(base_url=stack.edge_url, headers=JSON, timeout=30) as client:
        yield client


def start(browser, kind):
    answer = browser.get(f"/self-service/{kind}/browser")
    assert answer.status_code == 200, answer.text
    return answer.json()


def csrf_token(flow):
    return next(
        node["attributes"]["value"]
        for node in flow["ui"]["nodes"]
        if node["attributes"]["name"] == "csrf_token"
    )


def submit(browser, flow, **body):
    return browser.post(
        flow["ui"]["action"], json={"csrf_token": csrf_token(flow), "method": "password", **body}
    )


def register(browser, person):
    flow = start(browser, "registration")
    traits = {"email": person.email, "username": person.username}
    answer = submit(browser, flow, password=person.password, traits=traits)
    assert answer.status_code == 200, answer.text
    person.registration_flow_id = flow["id"]
    [step] = [
        item for item in answer.json()["continue_with"] if item["action"] == "show_verification_ui"
    ]
    person.verification_flow_id = step["flow"]["id"]
    return answer


def verify(browser, person):
    path = "/self-service/verification/flows"
    flow = browser.get(path, params={"id": person.verification_flow_id}).json()
    answer = submit(browser, flow, method="code", code=person.code())
    assert answer.json()["state"] == "passed_challenge"


def log_in(browser, person):
    return submit(
        browser, start(browser, "login"), identifier=person.username, password=person.password
    )


def test_a_first_life_with_cookies(browser, person):
    answer = register(browser, person)
    assert "session" not in answer.json()
    assert browser.get("/sessions/whoami").status_code == 401

    refused = log_in(browser, person)
    assert refused.status_code == 400
    [message] = refused.json()["ui"]["messages"]
    assert message["context"] == {"code": "email_not_verified"}

    verify(browser, person)
    answer = log_in(browser, person)
    assert answer.status_code == 200

    assert browser.get("/sessions/whoami").json()["identity"]["traits"]["email"] == person.email
    assert browser.get("/api/me").json()["username"] == person.username

    token = browser.get("/self-service/logout/browser").json()["logout_token"]
    browser.get("/self-service/logout", params={"token": token})
    assert browser.get("/api/me").status_code == 401


def test_every_cookie_of_an_answer_arrives_apart(browser, person):
    register(browser, person)
    verify(browser, person)

    answer = log_in(browser, person)

    cookies = answer.headers.get_list("set-cookie")
    names = [cookie.partition("=")[0] for cookie in cookies]
    assert len(set(names)) == len(names) == 4
    assert {name.partition("_")[0] for name in names} == {"csrf", "ory", "kleis"}
    assert all("HttpOnly" in cookie for cookie in cookies)


def test_a_submit_without_the_csrf_token_is_refused_with_kratos_own_words(browser, person):
    flow = start(browser, "login")
    answer = browser.post(
        flow["ui"]["action"],
        json={"method": "password", "identifier": person.email, "password": "x"},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["id"] == "security_csrf_violation"


def test_progress_is_shown_to_the_browser_that_has_the_cookie_and_to_no_other(
    browser, person, stack, admin
):
    answer = register(browser, person)
    path = f"/api/flows/{person.registration_flow_id}"

    assert browser.get(path).json()["state"] == "waiting"
    assert "Path=/api/flows" in answer.headers["set-cookie"]
    assert httpx.get(stack.edge_url + path, timeout=30).status_code == 404
    assert admin.get(path).json()["state"] == "waiting"


def test_a_forged_ticket_shows_nothing(browser, person, stack):
    register(browser, person)
    flow_id = person.registration_flow_id
    forged = {"cookie": f"kleis_flow={flow_id}.{'0' * 64}"}
    assert (
        httpx.get(f"{stack.edge_url}/api/flows/{flow_id}", headers=forged, timeout=30).status_code
        == 404
    )


def test_a_page_is_where_kratos_sends_people(browser, stack):
    answer = browser.get("/self-service/login/browser", headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{stack.edge_url}/login?flow=")
    page = browser.get(answer.headers["location"], headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "<form" in page.text
