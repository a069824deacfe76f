"""Pages that read our database: the start page of a member, the mailbox, the list of the API."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from bs4 import BeautifulSoup

from integration.db import mailbox, member_sessions, members, security_events
from integration.settings import Settings
from policies.lifecycle import Status
from policies.registration import RegistrationAttempt, new_member
from policies.security_events import Kind
from tests.kratos_double import KratosDouble, serving

COOKIE = {"cookie": "ory_kratos_session=x"}
PAGE = {"accept": "text/html"}
JSON = {"accept": "application/json"}


@pytest.fixture
def kratos() -> KratosDouble:
    return KratosDouble()


@pytest.fixture
def settings(settings: Settings, kratos: KratosDouble) -> Iterator[Settings]:
    with serving(kratos) as url:
        yield settings.model_copy(update={"kratos_public_url": url})


def soup(response):
    return BeautifulSoup(response.text, "html.parser")


@pytest.fixture
def somebody(kratos, services, traits, clock):
    """Return a function that makes somebody who is logged in at Kratos, a member or not yet."""

    def make(status: Status | None) -> str:
        identity_id = uuid4()
        identity = {"id": str(identity_id), "traits": traits, "created_at": clock().isoformat()}
        answer = {"id": str(uuid4()), "active": True, "identity": identity}
        kratos.answers["/sessions/whoami"] = (200, answer)
        if status is not None:
            new = new_member(RegistrationAttempt(traits["email"], traits["username"]))
            with services.transaction() as session:
                members.add(session, identity_id, new, status=status, flow_id=None, now=clock())
        return traits["username"]

    return make


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (Status.ACTIVE, "You are logged in."),
        (Status.PENDING_VERIFICATION, "Your e-mail address is not confirmed yet."),
        (Status.EXPIRED, "Your e-mail address is not confirmed yet."),
        (Status.PROVISIONAL, "Your profile is not complete yet."),
        (Status.SUSPENDED, "Your account is suspended."),
        (None, "Your e-mail address is not confirmed yet."),
    ],
)
def test_the_start_page_says_who_somebody_is_and_how_the_account_stands(
    api, somebody, kratos, status, sentence
):
    username = somebody(status)
    page = soup(api.get("/", headers=COOKIE))
    assert page.h1.text == f"Hello, {username}"
    assert sentence in page.main.text
    assert page.find("a", href="/account/settings")
    assert page.find("a", href="/logout")
    assert not page.find("a", href="/login")
    assert kratos.asked == [("/sessions/whoami", {}, COOKIE["cookie"])]


@pytest.mark.parametrize("path", ["/account/settings", "/account/security"])
def test_a_session_that_ended_with_us_is_shown_nothing_of_the_account(
    api, somebody, kratos, services, clock, traits, path
):
    """Kratos hears of the end a moment later: until then it would still show its form."""
    somebody(Status.ACTIVE)
    whoami = kratos.answers["/sessions/whoami"][1]
    kratos.recorded("settings", "settings")
    identity_id = UUID(whoami["identity"]["id"])
    page = f"{path}?flow={kratos.answers['/self-service/settings/flows'][1]['id']}"
    with services.transaction() as session:
        security_events.record(
            session, identity_id, Kind.EMAIL_CHANGE_ASKED, {"email": "new@example.test"}, clock()
        )
    assert api.get(page, headers=COOKIE).status_code == 200
    with services.transaction() as session:
        member_sessions.end_all(session, identity_id, reason="revoked", now=clock())

    answer = api.get(page, headers=COOKIE, follow_redirects=False)

    assert answer.status_code == 303
    assert "/self-service/login/browser" in answer.headers["location"]
    assert "new@example.test" not in answer.text


def test_the_start_page_calls_nobody_by_name_who_is_not_logged_in(api):
    page = soup(api.get("/"))
    assert page.h1.text == "Welcome"
    assert [page.find("a", href=path) is None for path in ("/login", "/logout")] == [False, True]


@pytest.fixture
def put(services, clock):
    """Put mails into the mailbox, a minute after one another."""

    def put(to: str, subject: str, *, text: str = "Hello.", html: str = "<p>Hello.</p>") -> None:
        clock.advance(timedelta(minutes=1))
        with services.transaction() as session:
            mailbox.put(session, uuid4(), to=to, subject=subject, text=text, html=html, now=clock())

    return put


def test_the_mailbox_is_newest_first_for_people_and_oldest_first_for_programs(api, put):
    put("ada@example.test", "First")
    put("bob@example.test", "Second")
    headings = [h2.text for h2 in soup(api.get("/dev/mailbox", headers=PAGE)).select("article h2")]
    items = api.get("/dev/mailbox", headers=JSON).json()["items"]
    assert headings == ["Second", "First"]
    assert [mail["subject"] for mail in items] == ["First", "Second"]
    assert set(items[0]) == {"to", "subject", "text", "html", "at"}


@pytest.mark.parametrize("to", ["ada@example.test", "ADA@Example.test"])
def test_the_mailbox_can_be_read_for_one_address(api, put, to):
    put("ada@example.test", "First")
    put("bob@example.test", "Second")
    page = soup(api.get("/dev/mailbox", params={"to": to}, headers=PAGE))
    assert [h2.text for h2 in page.select("article h2")] == ["First"]
    assert page.find(id="to")["value"] == to
    items = api.get("/dev/mailbox", params={"to": to}, headers=JSON).json()["items"]
    assert [mail["to"] for mail in items] == ["ada@example.test"]


def test_an_empty_mailbox_says_so(api):
    assert "No mail yet." in api.get("/dev/mailbox", headers=PAGE).text
    for nobody in ("ada@example.test", "a\0da@example.test"):
        answer = api.get("/dev/mailbox", params={"to": nobody}, headers=PAGE)
        assert "No mail to this address." in answer.text


def test_what_a_mail_brings_along_stays_in_its_frame(api, put):
    put(
        "ada@example.test",
        "<b>Hi</b>",
        text="<script>alert(1)</script> http://127.0.0.1/verification?code=1&flow=2.",
        html="<script>alert(1)</script>",
    )
    answer = api.get("/dev/mailbox", headers=PAGE)
    page = soup(answer)
    assert page.find("script") is None
    assert page.find("b") is None
    assert page.pre.a["href"] == "http://127.0.0.1/verification?code=1&flow=2"
    assert "allow-scripts" not in page.iframe["sandbox"]
    assert "allow-same-origin" not in page.iframe["sandbox"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_list_of_the_api_names_every_operation(api):
    page = soup(api.get("/api/docs", headers=PAGE))
    listed = {dt.text for dt in page.find_all("dt")}
    paths = api.get("/api/openapi.json").json()["paths"]
    assert listed == {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert page.find("a", href="/api/openapi.json")
