"""A member links and unlinks OpenID providers in its settings."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.system.openid import JSON, message_ids


@pytest.fixture
def database(stack):
    with psycopg.connect(stack.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def browser(browsers, member):
    """A browser in which the member is logged in."""
    made = browsers()
    log_in(made, member)
    return made


def log_in(browser, member):
    flow = browser.start("login")
    browser.submit(flow, method="password", identifier=member.email, password=member.password)
    assert browser.me().status_code == 200


def link(browser, account, provider="demo"):
    """The whole way of linking; return the answer at its end."""
    answer = browser.submit(browser.start("settings"), method="oidc", link=provider)
    assert answer.status_code == 303, answer.text
    return browser.come_back(account.consent(answer.headers["location"]))


def unlink(browser, provider="demo"):
    return browser.submit(browser.start("settings"), method="oidc", unlink=provider)


def connections(admin, member):
    answer = admin.get(
        f"/admin/identities/{member.identity_id}", params={"include_credential": "oidc"}
    )
    return (answer.json()["credentials"].get("oidc") or {}).get("identifiers") or []


def events(database, member):
    rows = database.execute(
        "SELECT kind, facts FROM security_events WHERE identity_id = %s ORDER BY at",
        (member.identity_id,),
    ).fetchall()
    return [
        (row["kind"], row["facts"].get("provider")) for row in rows if "provider" in row["facts"]
    ]


def make_stale(stack, member):
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update sessions set authenticated_at = authenticated_at - interval '16 minutes'"
            " where identity_id = %s",
            (member.identity_id,),
        )


def test_a_linked_provider_logs_in_to_the_account(browser, browsers, account, member, admin):
    answer = link(browser, account)

    assert urlsplit(answer.headers["location"]).path == "/account/settings"
    assert 1050001 in message_ids(browser.flow(answer))
    assert connections(admin, member) == [f"demo:{account.subject}"]
    later = browsers()
    later.go_through(account)
    assert later.me().json()["id"] == member.identity_id
    assert later.me().json()["email"] == member.email


def test_linking_changes_no_trait_and_verifies_no_address(browser, member, account, database):
    link(browser, account)
    me = browser.me().json()
    assert (me["email"], me["username"]) == (member.email, member.username)


def test_an_unlinked_provider_is_no_way_in(browser, browsers, account, member, admin):
    link(browser, account)

    assert unlink(browser).status_code == 303

    assert connections(admin, member) == []
    account.tell(email=member.email)
    later = browsers()
    answer = later.go_through(account)
    assert "/login?" in answer.headers["location"]
    assert later.whoami().status_code == 401


def test_the_owner_hears_of_both(stack, browser, account, member, database, eventually):
    link(browser, account)
    eventually(lambda: any("sign-in method" in mail["subject"] for mail in member.mails()))
    unlink(browser)
    eventually(
        lambda: (
            events(database, member) == [("connection_added", "demo"), ("connection_removed", "")]
        )
    )
    eventually(lambda: sum("sign-in method" in mail["subject"] for mail in member.mails()) == 2)


def test_the_last_way_in_cannot_be_unlinked(browsers, account, database):
    browser = browsers()
    browser.go_through(account)
    flow = browser.start("settings")
    names = {node["attributes"].get("name") for node in flow["ui"]["nodes"]}
    assert "unlink" not in names

    browser.submit(flow, method="oidc", unlink="demo")

    later = browsers()
    later.go_through(account)
    assert later.me().json()["email"] == account.email


def test_an_account_of_somebody_else_cannot_be_linked(browser, browsers, account, member, admin):
    browsers().go_through(account)
    link(browser, account)
    assert connections(admin, member) == []
    later = browsers()
    later.go_through(account)
    assert later.me().json()["email"] == account.email


@pytest.mark.parametrize("wish", ["link", "unlink"])
@pytest.mark.parametrize("method", ["oidc", "profile", "password"])
def test_an_old_session_is_asked_for_a_login_before_kratos_hears_of_it(
    stack, browser, account, member, admin, wish, method
):
    """Kratos would keep the wish and carry it out by a GET after the login."""
    if wish == "unlink":
        link(browser, account)
    before = connections(admin, member)
    flow = browser.start("settings")
    make_stale(stack, member)

    answer = browser.submit(flow, method=method, **{wish: "demo"})

    assert "/self-service/login/browser?refresh=true" in answer.headers["location"]
    refresh = browser.start("login", refresh="true")
    browser.submit(refresh, method="password", identifier=member.email, password=member.password)
    browser.http.get("/self-service/settings", params={"flow": flow["id"]})
    assert connections(admin, member) == before


def test_a_link_that_was_started_does_not_end_over_an_old_session(
    stack, browser, account, member, admin
):
    started = browser.submit(browser.start("settings"), method="oidc", link="demo")
    make_stale(stack, member)
    browser.come_back(account.consent(started.headers["location"]))
    assert connections(admin, member) == []


def test_a_link_that_was_started_does_not_end_without_the_session(browser, account, member, admin):
    started = browser.submit(browser.start("settings"), method="oidc", link="demo")
    token = browser.http.get("/self-service/logout/browser", headers={"accept": JSON}).json()
    browser.http.get("/self-service/logout", params={"token": token["logout_token"]})
    browser.come_back(account.consent(started.headers["location"]))
    assert connections(admin, member) == []
    assert browser.whoami().status_code == 401


def test_a_link_does_not_end_in_somebody_elses_account(
    browser, browsers, account, member, people, admin
):
    """A link as a trap: the state belongs to the flow, and the flow to its member."""
    other = people()
    other.register()
    other.verify()
    victim = browsers()
    log_in(victim, other)
    started = browser.submit(browser.start("settings"), method="oidc", link="demo")

    victim.come_back(account.consent(started.headers["location"]))

    assert connections(admin, other) == []
    assert connections(admin, member) == []


def test_a_suspended_member_links_nothing(browser, account, member, admin, database):
    started = browser.submit(browser.start("settings"), method="oidc", link="demo")
    patch = [{"op": "replace", "path": "/state", "value": "inactive"}]
    admin.patch(f"/admin/identities/{member.identity_id}", json=patch).raise_for_status()

    browser.come_back(account.consent(started.headers["location"]))

    assert connections(admin, member) == []
    state = admin.get(f"/admin/identities/{member.identity_id}").json()["state"]
    assert state == "inactive"


def test_a_login_with_a_linked_provider_renews_the_session(
    stack, browser, account, member, database, eventually
):
    link(browser, account)
    make_stale(stack, member)
    refresh = browser.start("login", refresh="true")
    browser.come_back(account.consent(browser.choose(refresh)))

    answer = browser.submit(browser.start("settings"), method="oidc", unlink="demo")

    assert re.search("/account/settings", answer.headers["location"])
    counted = "SELECT login_count FROM members WHERE identity_id = %s AND login_count = 2"
    # Kratos gives another session, where a password would renew the one that is there.
    eventually(lambda: database.execute(counted, (member.identity_id,)).fetchone())


def test_another_members_provider_does_not_renew_a_session(
    stack, browser, browsers, account, member
):
    browsers().go_through(account)
    make_stale(stack, member)
    refresh = browser.start("login", refresh="true")
    nodes = [node["attributes"].get("name") for node in refresh["ui"]["nodes"]]
    assert "provider" not in nodes

    browser.come_back(account.consent(browser.choose(refresh)))

    session = browser.whoami().json()
    renewed = datetime.now(UTC) - datetime.fromisoformat(session["authenticated_at"])
    is_the_members = session["identity"]["id"] == member.identity_id
    assert not is_the_members or renewed > timedelta(minutes=15)


def test_a_settings_flow_of_an_app_offers_no_link(member, stack):
    token = member.log_in()
    flow = httpx.get(
        f"{stack.edge_url}/self-service/settings/api",
        headers={"x-session-token": token},
        timeout=30,
    ).json()
    assert not {"link", "unlink"} & {node["attributes"].get("name") for node in flow["ui"]["nodes"]}
