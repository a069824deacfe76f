"""Sessions on real Kratos: written down as they begin, gone everywhere as they end."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from integration.limits.devices import COOKIE, Devices
from tests.session_clients import WHOAMI, Native, Spa, rows

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def member(people) -> Any:
    return active(people())


def active(somebody: Any) -> Any:
    somebody.register()
    somebody.verify()
    return somebody


@pytest.fixture(params=[Native, Spa])
def client(request, clients, member) -> Any:
    made = clients(request.param, member)
    assert made.log_in().status_code == 200
    return made


def remembered(client: Any) -> None:
    """Let the edge remember the session."""
    for _ in range(3):
        assert client.whoami() == 200


def test_a_login_is_written_down_before_it_is_answered(clients, member, stack):
    app = clients(Native, member, user_agent="ship/2 (Linux)")
    answer = app.log_in()

    [row] = rows(stack, member)

    assert row["session_id"] == UUID(answer.json()["session"]["id"])
    assert (row["methods"], row["aal"], row["device_id"]) == (["password"], "aal1", None)
    assert (row["address"], row["user_agent"]) == ("127.0.0.1", "ship/2 (Linux)")
    assert row["expires_at"] - row["authenticated_at"] == timedelta(days=7)


def test_a_browser_keeps_its_number(clients, member, stack):
    browser = clients(Spa, member, user_agent=FIREFOX)
    browser.log_in()
    cookie = f"{COOKIE}={browser.http.cookies[COOKIE]}"
    logout(browser)
    browser.log_in()

    first, second = rows(stack, member)

    devices = Devices("", lifetime_seconds=1, is_secure=False)
    assert first["device_id"] == second["device_id"] is not None
    assert first["user_agent"] == FIREFOX
    # Nobody's cookie but the edge's own names a device.
    assert devices.read(cookie) is None


def logout(client: Any) -> httpx.Response:
    if isinstance(client, Native):
        return client.ask(
            "DELETE", "/self-service/logout/api", json={"session_token": client.token}
        )
    token = client.ask("GET", "/self-service/logout/browser").json()["logout_token"]
    return client.ask("GET", "/self-service/logout", params={"token": token})


def test_a_session_is_gone_once_its_logout_is_answered(client, member, stack):
    remembered(client)
    kept = dict(client.http.cookies)

    assert logout(client).status_code in (204, 303)

    client.http.cookies.update(kept)
    assert [client.whoami() for _ in range(5)] == [401] * 5
    assert client.ask("GET", "/api/me").status_code == 401
    assert client.ask("GET", "/sessions").status_code == 401
    [row] = rows(stack, member)
    assert (row["end_reason"], row["ended_at"] is not None) == ("logout", True)


def test_a_logout_with_somebody_elses_token_ends_nothing(clients, member, another_person, stack):
    mine, theirs = clients(Spa, member), clients(Spa, active(another_person))
    mine.log_in()
    theirs.log_in()
    token = theirs.ask("GET", "/self-service/logout/browser").json()["logout_token"]

    mine.ask("GET", "/self-service/logout", params={"token": token})

    assert mine.whoami() == 200
    assert [row["ended_at"] for row in rows(stack, member)] == [None]


def test_other_sessions_are_gone_once_their_revocation_is_answered(client, clients, member, stack):
    other = clients(Native, member)
    other.log_in()
    remembered(client)
    remembered(other)

    # Kratos also counts the session that a registration leaves in its table.
    assert client.ask("DELETE", "/sessions").json()["count"] >= 1

    assert other.whoami() == 401
    assert client.whoami() == 200
    reasons = {str(row["session_id"]): row["end_reason"] for row in rows(stack, member)}
    assert reasons == {client.session["id"]: "", other.session["id"]: "revoked"}


def test_one_session_is_gone_once_its_revocation_is_answered(client, clients, member):
    other = clients(Native, member)
    other.log_in()
    remembered(other)

    assert client.ask("DELETE", f"/sessions/{other.session['id']}").status_code == 204

    assert other.whoami() == 401
    assert client.whoami() == 200


def test_an_admin_ends_one_session(client, admin, member, stack):
    remembered(client)

    assert admin.delete(f"/admin/sessions/{client.session['id']}").status_code == 204

    assert client.whoami() == 401
    assert [row["end_reason"] for row in rows(stack, member)] == ["revoked"]


def test_an_admin_ends_all_sessions_of_a_member(client, clients, admin, member, stack):
    other = clients(Native, member)
    other.log_in()
    remembered(client)
    remembered(other)

    assert admin.delete(f"/admin/identities/{member.identity_id}/sessions").status_code == 204

    assert (client.whoami(), other.whoami()) == (401, 401)
    assert {row["end_reason"] for row in rows(stack, member)} == {"revoked"}


def test_an_extension_by_an_admin_shows_at_once(client, admin, member, stack):
    remembered(client)
    before = client.ask("GET", WHOAMI).json()["expires_at"]

    answer = admin.patch(f"/admin/sessions/{client.session['id']}/extend")

    assert answer.status_code == 200
    after = client.ask("GET", WHOAMI).json()["expires_at"]
    assert before < after
    [row] = rows(stack, member)
    assert abs(row["expires_at"] - datetime.fromisoformat(after)) < timedelta(milliseconds=1)


def test_a_member_that_an_admin_disables_has_no_session_left(client, admin, member, stack):
    remembered(client)
    change = [{"op": "replace", "path": "/state", "value": "inactive"}]

    admin.patch(f"/admin/identities/{member.identity_id}", json=change).raise_for_status()

    assert client.whoami() == 401
    assert [row["end_reason"] for row in rows(stack, member)] == ["suspended"]


def test_changed_traits_show_at_once(client, member):
    remembered(client)
    flow = client.start("settings")
    traits = {"email": member.email, "username": member.username, "first_name": "Augusta"}

    assert client.submit(flow, method="profile", traits=traits).status_code == 200

    assert client.ask("GET", WHOAMI).json()["identity"]["traits"]["first_name"] == "Augusta"


def test_a_changed_password_ends_every_session(client, clients, member, stack, eventually):
    other = clients(Native, member)
    other.log_in()
    remembered(client)
    remembered(other)
    flow = client.start("settings")
    member.password = f"Another-Horse-{secrets.token_hex(4)}"

    assert client.submit(flow, method="password", password=member.password).status_code == 200

    assert (client.whoami(), other.whoami()) == (401, 401)
    assert {row["end_reason"] for row in rows(stack, member)} == {"password_changed"}
    assert clients(Native, member).log_in().status_code == 200


@pytest.mark.parametrize(
    "write", [lambda u: u.hex, lambda u: f"urn:uuid:{u}", lambda u: f"{{{u}}}"]
)
def test_a_session_is_named_in_one_way(client, admin, member, write):
    """Kratos would end it under each of these names, and we would not know which one it was."""
    name = write(UUID(client.session["id"]))

    assert admin.delete(f"/admin/sessions/{name}").status_code in (400, 404)
    assert client.ask("DELETE", f"/sessions/{name}").status_code in (400, 404)

    assert client.whoami() == 200


# The API


def test_a_member_sees_its_sessions(clients, member):
    app, browser = clients(Native, member), clients(Spa, member, user_agent=FIREFOX)
    app.log_in()
    browser.log_in()

    items = browser.ask("GET", "/api/me/sessions").json()["items"]

    assert [item["id"] for item in items] == [browser.session["id"], app.session["id"]]
    assert [item["device"] for item in items] == ["Firefox on Linux", "an app"]
    assert [item["is_current"] for item in items] == [True, False]
    assert items[0]["country"] is None


def test_a_member_ends_a_session_of_its_own(client, clients, member):
    other = clients(Native, member)
    other.log_in()
    remembered(other)

    path = f"/api/me/sessions/{other.session['id']}"
    assert client.ask("DELETE", path).status_code == 204

    assert other.whoami() == 401
    assert len(client.ask("GET", "/api/me/sessions").json()["items"]) == 1


def test_a_member_ends_all_others(client, clients, member):
    others = [clients(Native, member) for _ in range(2)]
    for other in others:
        other.log_in()
        remembered(other)

    assert client.ask("DELETE", "/api/me/sessions").json() == {"ended": 2}

    assert [other.whoami() for other in others] == [401, 401]
    assert client.whoami() == 200


def test_nobody_ends_a_session_of_somebody_else(client, clients, another_person):
    theirs = clients(Native, active(another_person))
    theirs.log_in()

    answer = client.ask("DELETE", f"/api/me/sessions/{theirs.session['id']}")
    unknown = client.ask("DELETE", f"/api/me/sessions/{uuid4()}")

    assert answer.status_code == unknown.status_code == 404
    assert answer.json() == unknown.json()
    assert theirs.whoami() == 200


# Devices, and how many


def test_a_mail_tells_of_a_device_that_was_never_seen(clients, member, eventually):
    clients(Native, member, user_agent="ship/2").log_in()
    clients(Native, member, user_agent="ship/2").log_in()
    browser = clients(Spa, member, user_agent=FIREFOX)
    browser.log_in()
    logout(browser)
    browser.log_in()

    def told() -> list[str]:
        return [mail["text"] for mail in member.mails() if "new device" in mail["subject"]]

    [text] = eventually(told)
    assert "Firefox on Linux" in text
    clients(Native, member, user_agent="boat/1 http://evil.example").log_in()
    assert len(eventually(lambda: len(told()) == 2 and told())) == 2
    assert "evil" not in "".join(told())


def test_one_session_too_many_ends_the_oldest(clients, member, stack, eventually):
    first = clients(Native, member)
    first.log_in()
    remembered(first)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into member_sessions (session_id, identity_id, started_at, authenticated_at,"
            " expires_at, methods, aal, last_activity_at) select gen_random_uuid(), %s,"
            " now(), now(), now() + interval '7 days', '{password}', 'aal1', now()"
            " from generate_series(1, 49)",
            (member.identity_id,),
        )

    last = clients(Native, member)
    last.log_in()

    assert first.whoami() == 401
    assert last.whoami() == 200
    ended = [row for row in rows(stack, member) if row["ended_at"]]
    assert [(str(row["session_id"]), row["end_reason"]) for row in ended] == [
        (first.session["id"], "too_many")
    ]


# Abuse


def test_a_session_that_somebody_else_brought_is_not_taken_over_by_a_login(
    clients, member, another_person
):
    """Session fixation: the victim logs in over the attacker's cookie, and gets another session."""
    attacker, victim = clients(Spa, member), clients(Spa, active(another_person))
    attacker.log_in()
    planted = attacker.http.cookies["ory_kratos_session"]
    victim.http.cookies.set("ory_kratos_session", planted, domain="127.0.0.1")

    victim.log_in(refresh="true")

    assert victim.http.cookies["ory_kratos_session"] != planted
    seen = attacker.ask("GET", WHOAMI).json()["identity"]["traits"]["email"]
    assert seen == member.email


def test_a_token_of_ones_own_choice_is_no_session(clients, member):
    client = clients(Native, member)
    client.token = "ory_st_" + "a" * 32
    assert client.whoami() == 401
    client.log_in()
    assert client.token != "ory_st_" + "a" * 32


def test_a_cookie_of_another_host_is_no_session(clients, member, stack):
    """Signed with other secrets, it decrypts to nothing here, however often it comes."""
    browser = clients(Spa, member)
    browser.log_in()
    good = browser.http.cookies["ory_kratos_session"]
    forged = good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8)

    for _ in range(3):
        headers = {"cookie": f"ory_kratos_session={forged}"}
        assert httpx.get(stack.edge_url + WHOAMI, headers=headers, timeout=30).status_code == 401
    headers = {"cookie": f"other_kratos_session={good}; xory_kratos_session={good}"}
    assert httpx.get(stack.edge_url + WHOAMI, headers=headers, timeout=30).status_code == 401


def test_logging_in_as_another_person_on_a_refresh_leaves_the_first_as_it_was(
    clients, member, another_person, stack
):
    client = clients(Native, member)
    client.log_in()
    first, before = client.token, rows(stack, member)
    client.person = active(another_person)

    answer = client.log_in(refresh="true")

    assert answer.json()["session"]["identity"]["id"] == another_person.identity_id
    assert client.token != first
    assert rows(stack, member) == before
    [theirs] = rows(stack, another_person)
    assert str(theirs["session_id"]) == client.session["id"]


def test_a_refresh_keeps_the_row_and_moves_the_moment(client, member, stack):
    remembered(client)
    [before] = rows(stack, member)

    assert client.log_in(refresh="true").status_code == 200

    [after] = rows(stack, member)
    assert after["session_id"] == before["session_id"]
    assert after["authenticated_at"] > before["authenticated_at"]
    assert after["methods"] == ["password", "password"]
    shown = client.ask("GET", WHOAMI).json()["authenticated_at"]
    assert abs(datetime.fromisoformat(shown) - after["authenticated_at"]) < timedelta(
        milliseconds=1
    )


def test_a_token_that_was_logged_out_stays_out(clients, member):
    client = clients(Native, member)
    client.log_in()
    old = client.token
    logout(client)
    client.log_in()
    remembered(client)
    new, client.token = client.token, old

    assert [client.whoami() for _ in range(3)] == [401] * 3
    logout(client)
    client.token = new
    assert client.whoami() == 200


def test_a_session_ends_with_its_time_in_our_table_too(client, member, stack, eventually):
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "update member_sessions set expires_at = %s where identity_id = %s",
            (datetime.now(UTC) - timedelta(minutes=1), member.identity_id),
        )

    eventually(lambda: rows(stack, member)[0]["end_reason"] == "expired")

    # Kratos still knows it: the row was wrong, and is put right by the next login.
    assert client.log_in(refresh="true").status_code == 200
    assert rows(stack, member)[0]["ended_at"] is None


def test_a_session_in_use_is_extended(client, member, stack, eventually):
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "update member_sessions set expires_at = now() + interval '5 days',"
            " started_at = started_at - interval '2 days', last_activity_at = now()"
            " where identity_id = %s",
            (member.identity_id,),
        )

    def is_longer() -> bool:
        return rows(stack, member)[0]["expires_at"] > datetime.now(UTC) + timedelta(days=6)

    eventually(is_longer)
    assert client.whoami() == 200


def test_a_session_that_is_too_old_ends_at_kratos_too(client, member, stack, admin, eventually):
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "update member_sessions set started_at = now() - interval '31 days'"
            " where identity_id = %s",
            (member.identity_id,),
        )

    eventually(lambda: rows(stack, member)[0]["end_reason"] == "too_old")

    eventually(lambda: client.whoami() == 401)
    path = f"/admin/sessions/{client.session['id']}"
    eventually(lambda: not admin.get(path).json().get("active"))


def end_with_us_alone(stack, member):
    """End a member's sessions in our tables; nobody tells Kratos."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "update member_sessions set ended_at = now(), end_reason = 'revoked'"
            " where identity_id = %s",
            (member.identity_id,),
        )
        connection.execute(
            "update subject_epochs set epoch = epoch + 1,"
            " xid = pg_current_xact_id()::text::bigint where subject_id = %s",
            (member.identity_id,),
        )


def test_who_was_logged_out_by_us_may_log_in_at_once(client, member, stack):
    """Kratos may not have heard yet: it would say that somebody is logged in."""
    end_with_us_alone(stack, member)

    assert client.log_in().status_code == 200

    assert client.whoami() == 200


def test_who_was_logged_out_by_us_changes_nothing(client, member, stack, admin, eventually):
    """Kratos may not have heard yet: its session is still good for a flow begun before."""
    flow = client.start("settings")
    before = admin.get(f"/admin/identities/{member.identity_id}").json()["traits"]
    end_with_us_alone(stack, member)
    eventually(lambda: client.whoami() == 401)
    password = f"Correct-Horse-{secrets.token_hex(4)}"

    for fields in ({"method": "password", "password": password}, {"method": "profile"}):
        traits = {"traits": before | {"first_name": "Eve"}} if len(fields) == 1 else {}
        answer = client.submit(flow, **fields, **traits)
        assert answer.status_code == 401, answer.text

    assert admin.get(f"/admin/identities/{member.identity_id}").json()["traits"] == before
    assert client.log_in().status_code == 200
    assert [bool(row["ended_at"]) for row in rows(stack, member)] == [True, False]
