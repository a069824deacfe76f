"""Pages that belong to no flow: start, logout, errors, what is not there."""

import pytest

from tests.kratos_double import PUBLIC, KratosDouble, serving
from tests.page_stage import FLOW, NO_SESSION, browser, soup


@pytest.fixture
def kratos():
    return KratosDouble()


@pytest.fixture
def client(kratos):
    with serving(kratos) as url, browser(url) as client:
        yield client


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


def test_a_slash_too_many_leads_to_the_page(client):
    response = client.get("/login/", headers={"accept": "text/html"})
    assert response.status_code == 307
    assert response.headers["location"].endswith("/login")
