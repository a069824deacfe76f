"""Registration and login with an OpenID provider: real Kratos, the demo provider at the network."""

import json
import re

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.system.openid import HTML, JSON, Account, Visitor, message_ids


class Record:
    """What our tables say."""

    def __init__(self, connection, eventually):
        self._connection = connection
        self._eventually = eventually

    def rows(self, statement, *values):
        return self._connection.execute(statement, values).fetchall()

    def member(self, email):
        found = self.rows("SELECT * FROM members WHERE email = %s", email.lower())
        return found[0] if found else None

    def until_done(self, email):
        """Wait for the effects of what happened so far."""
        statement = """
            SELECT 1 FROM outbox
            WHERE identity_id = %s AND done_at IS NULL AND kind LIKE 'sync_%%'
        """
        identity_id = self.member(email)["identity_id"]
        self._eventually(lambda: not self.rows(statement, identity_id))

    def sessions(self, identity_id):
        statement = "SELECT * FROM member_sessions WHERE identity_id = %s ORDER BY started_at"
        return self.rows(statement, identity_id)

    def attempts(self, browser, number=1):
        """Wait for this many login attempts of a browser and return them, oldest first."""
        agent = browser.http.headers["user-agent"]
        statement = "SELECT * FROM login_attempts WHERE user_agent = %s ORDER BY at"
        self._eventually(lambda: len(self.rows(statement, agent)) >= number)
        found = self.rows(statement, agent)
        assert len(found) == number
        return found


@pytest.fixture
def record(stack, eventually):
    with psycopg.connect(stack.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Record(connection, eventually)


@pytest.fixture
def browser(browsers):
    return browsers()


@pytest.fixture(params=[HTML, JSON], ids=["page", "script"])
def either(request, browsers):
    """A page, and a script of a page."""
    return browsers(accept=request.param)


def mails_to(stack, address):
    answer = httpx.get(
        stack.facts["mailbox_url"], params={"to": address}, headers={"accept": JSON}, timeout=30
    )
    return answer.json()["items"]


def code_to(stack, address, eventually):
    def codes():
        texts = [mail["text"] for mail in mails_to(stack, address)]
        return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]

    return eventually(codes)[-1]


def names_of(flow):
    return {node["attributes"].get("name") for node in flow["ui"]["nodes"]}


def texts_of(flow):
    shown = [*(flow["ui"].get("messages") or [])]
    for node in flow["ui"]["nodes"]:
        shown += node.get("messages") or []
    return [message["text"] for message in shown]


# Whom the provider vouches for


@pytest.mark.parametrize("kind", ["login", "registration"])
def test_somebody_new_is_a_member_and_logged_in(stack, either, account, record, kind, eventually):
    answer = either.go_through(account, kind)

    assert answer.status_code == (200 if either.http.headers["accept"] == JSON else 303)
    me = either.me().json()
    assert (me["email"], me["username"]) == (account.email, account.username)
    assert (me["status"], me["role"], me["first_name"]) == ("active", "user", "Ada")
    assert me["profile"]["display_name"] == "Ada Lovelace"
    member = record.member(account.email)
    [session] = record.sessions(member["identity_id"])
    assert (session["methods"], session["aal"], session["ended_at"]) == (["oidc"], "aal1", None)
    [attempt] = record.attempts(either)
    assert (attempt["method"], attempt["outcome"]) == ("oidc", "success")
    assert attempt["identity_id"] == member["identity_id"]
    eventually(lambda: record.member(account.email)["login_count"] == 1)
    assert record.member(account.email)["last_login_at"] is not None


def test_the_first_login_sends_a_welcome_and_no_code(stack, browser, account, eventually):
    browser.go_through(account)
    mails = eventually(lambda: mails_to(stack, account.email))
    assert ["Welcome" in mail["subject"] for mail in mails] == [True]


def test_keto_lets_somebody_new_in(browser, account, record, permissions, eventually):
    browser.go_through(account)
    identity_id = str(record.member(account.email)["identity_id"])

    def may_enter():
        return permissions.check_permission(
            namespace="Platform", object="main", relation="enter", subject_id=identity_id
        ).allowed

    assert eventually(may_enter)


def test_the_second_login_is_the_same_members(browsers, account, record, eventually, stack):
    browsers().go_through(account)
    member = record.member(account.email)
    again = browsers()

    again.go_through(account, "registration")

    assert again.me().json()["id"] == str(member["identity_id"])
    eventually(lambda: record.member(account.email)["login_count"] == 2)
    assert [row["methods"] for row in record.sessions(member["identity_id"])] == [["oidc"]] * 2
    subjects = eventually(
        lambda: [
            mail["subject"]
            for mail in mails_to(stack, account.email)
            if "Welcome" not in mail["subject"]
        ]
    )
    assert subjects == ["Your account was used on a new device"]


def test_a_browser_that_was_here_before_is_no_new_device(either, account, record, stack):
    either.go_through(account)
    token = either.http.get("/self-service/logout/browser", headers={"accept": JSON}).json()
    either.http.get("/self-service/logout", params={"token": token["logout_token"]})
    either.go_through(account)

    rows = record.sessions(record.member(account.email)["identity_id"])
    assert [row["end_reason"] for row in rows] == ["logout", ""]
    assert rows[0]["device_id"] == rows[1]["device_id"] is not None
    record.until_done(account.email)
    assert not [mail for mail in mails_to(stack, account.email) if "device" in mail["subject"]]


def test_an_address_in_capitals_is_the_same_address(stack, browser, record):
    account = Account(stack.facts["oidc_provider_url"])
    account.tell(email=account.email.upper())
    browser.go_through(account)
    assert browser.me().json()["status"] == "active"
    assert record.member(account.email)["status"] == "active"


def test_what_nobody_could_be_called_is_left_out(stack, browser):
    account = Account(
        stack.facts["oidc_provider_url"], name="Zoë <b>!", given_name="x" * 101, family_name=" "
    )
    browser.go_through(account)
    me = browser.me().json()
    assert (me["first_name"], me["last_name"]) == ("", "")
    assert me["profile"]["display_name"] == account.username


def test_a_provider_that_signs_with_es256_and_is_asked_for_userinfo(stack, browser, record):
    account = Account(stack.rival.issuer)
    browser.go_through(account, provider="rival")
    assert browser.me().json()["email"] == account.email


def test_after_the_login_the_browser_goes_where_it_was_to_go(stack, browser, account):
    answer = browser.go_through(account, return_to=f"{stack.edge_url}/account/sessions")
    assert answer.headers["location"] == f"{stack.edge_url}/account/sessions"


# Whom the provider does not vouch for


@pytest.mark.parametrize("claim", [False, None, "false"])
def test_without_the_providers_word_the_address_is_proven_by_our_mail(
    stack, either, browsers, record, eventually, claim
):
    account = Account(stack.facts["oidc_provider_url"], email_verified=claim)

    answer = either.go_through(account)

    assert not either.has_session_cookie
    assert either.whoami().status_code == 401
    assert record.member(account.email)["status"] == "pending_verification"
    assert "session" not in answer.text.replace("sessions", "")
    [session] = record.sessions(record.member(account.email)["identity_id"])
    assert session["end_reason"] == "not_allowed"

    refused = browsers().go_through(account)
    assert refused.status_code in (302, 303)
    assert "/login?" in refused.headers["location"]

    verify(either, answer, code_to(stack, account.email, eventually))
    assert record.member(account.email)["status"] == "active"
    assert either.whoami().status_code == 401
    either.go_through(account)
    assert either.me().json()["email"] == account.email


@pytest.mark.parametrize("claim", ["yes", 1, [True]])
def test_what_is_no_boolean_is_no_word_for_an_address(stack, browser, record, claim):
    account = Account(stack.facts["oidc_provider_url"], email_verified=claim)
    browser.go_through(account)
    assert browser.whoami().status_code == 401
    member = record.member(account.email)
    assert member is None or member["status"] == "pending_verification"


def verify(browser, answer, code):
    if answer.status_code == 303:
        flow = browser.flow(answer)
    else:
        [step] = [
            each
            for each in answer.json()["continue_with"]
            if each["action"] == "show_verification_ui"
        ]
        flow = browser.http.get(
            "/self-service/verification/flows",
            params={"id": step["flow"]["id"]},
            headers={"accept": JSON},
        ).json()
    assert browser.submit(flow, method="code", code=code).status_code in (200, 303)


def test_somebody_unverified_reads_what_to_do(stack, browsers, record):
    account = Account(stack.facts["oidc_provider_url"], email_verified=False)
    browsers().go_through(account)
    browser = browsers()

    answer = browser.go_through(account)

    assert any(
        "verify your e-mail address first" in text for text in texts_of(browser.flow(answer))
    )
    [attempt] = record.attempts(browser)
    assert (attempt["outcome"], attempt["code"]) == ("unverified", "email_not_verified")


def test_an_address_that_is_typed_is_not_the_one_that_the_provider_vouches_for(
    stack, browser, account, record
):
    """The form's traits win over the provider's: the word for one must not count for the other."""
    other = f"other-{account.email}"
    address = browser.choose(browser.start("registration"), **{"traits.email": other})
    browser.come_back(account.consent(address))

    assert record.member(account.email) is None
    assert record.member(other)["status"] == "pending_verification"
    assert not browser.has_session_cookie


# What is missing is asked for


def test_a_missing_address_is_asked_for_and_proven(stack, browser, record, eventually):
    account = Account(stack.facts["oidc_provider_url"], email=None)
    typed = f"typed-{account.username}@example.test"

    flow = browser.flow(browser.go_through(account))
    assert "traits.email" in names_of(flow)
    address = browser.choose(flow, **{"traits.email": typed, "traits.username": account.username})
    answer = browser.come_back(account.consent(address))

    assert record.member(typed)["status"] == "pending_verification"
    verify(browser, answer, code_to(stack, typed, eventually))
    browser.go_through(account)
    assert browser.me().json()["email"] == typed


def test_a_missing_username_is_asked_for(stack, browser, record):
    account = Account(stack.facts["oidc_provider_url"], preferred_username=None)
    name = f"chosen-{account.subject[-8:]}"

    flow = browser.flow(browser.go_through(account))
    address = browser.choose(flow, **{"traits.username": name, "traits.email": account.email})
    browser.come_back(account.consent(address))

    me = browser.me().json()
    assert (me["username"], me["status"]) == (name, "active")


@pytest.mark.parametrize(
    ("taken", "words"), [("demo-admin", "taken"), ("admin", "reserved"), ("Demo-Admin", "taken")]
)
def test_a_username_that_cannot_be_had_is_asked_for_again(stack, browser, record, taken, words):
    """Kratos would take it for a sign that the other account is this person's."""
    account = Account(stack.facts["oidc_provider_url"], preferred_username=taken)

    flow = browser.flow(browser.go_through(account))

    assert any(words in text for text in texts_of(flow))
    assert 1010016 not in message_ids(flow)
    assert record.member(account.email) is None
    name = f"chosen-{account.subject[-8:]}"
    address = browser.choose(flow, **{"traits.username": name, "traits.email": account.email})
    browser.come_back(account.consent(address))
    assert browser.me().json()["username"] == name


def test_the_rules_of_a_registration_are_asked(stack, either, record):
    account = Account(stack.facts["oidc_provider_url"])
    account.tell(email=f"{account.subject}@mailinator.com")

    answer = either.go_through(account)

    assert record.member(account.email) is None
    assert not either.has_session_cookie
    flow = answer.json() if answer.status_code == 400 else either.flow(answer)
    assert any("disposable" in text.lower() or "address" in text for text in texts_of(flow))


# Somebody is here already


def test_an_existing_address_is_offered_a_link_and_never_a_session(stack, browser, member, record):
    account = Account(stack.facts["oidc_provider_url"], email=member.email)
    before = record.sessions(member.identity_id)

    answer = browser.go_through(account)

    assert "/login?" in answer.headers["location"]
    assert not browser.has_session_cookie
    assert record.sessions(member.identity_id) == before
    flow = browser.flow(answer)
    assert message_ids(flow) == [1010016]
    assert member.username not in json.dumps(flow)

    wrong = browser.submit(flow, method="password", identifier=member.email, password="not it")
    assert browser.whoami().status_code == 401
    assert wrong.status_code == 303
    [attempt] = record.attempts(browser)
    assert attempt["outcome"] == "wrong_credentials"


def test_with_the_password_the_account_is_linked(stack, browsers, member, record, eventually):
    account = Account(stack.facts["oidc_provider_url"], email=member.email)
    browser = browsers()
    flow = browser.flow(browser.go_through(account))

    browser.submit(flow, method="password", identifier=member.email, password=member.password)

    assert browser.me().json()["id"] == member.identity_id
    later = browsers()
    later.go_through(account)
    assert later.me().json()["id"] == member.identity_id
    eventually(lambda: any("sign-in method" in mail["subject"] for mail in member.mails()))
    [attempt] = record.attempts(later)
    assert str(attempt["identity_id"]) == member.identity_id
    eventually(lambda: record.member(member.email)["login_count"] == 2)


def test_somebody_elses_password_links_nothing(stack, browsers, member, people):
    """Only the account that the offer was about may take it."""
    other = people()
    other.register()
    other.verify()
    account = Account(stack.facts["oidc_provider_url"], email=member.email)
    browser = browsers()
    flow = browser.flow(browser.go_through(account))

    browser.submit(flow, method="password", identifier=other.email, password=other.password)

    later = browsers()
    later.go_through(account)
    assert later.whoami().status_code == 401


def test_a_script_gets_one_document(stack, browsers, member):
    account = Account(stack.facts["oidc_provider_url"], email=member.email)
    script = browsers(accept=JSON)

    answer = script.go_through(account)

    assert answer.status_code == 200
    flow = json.loads(answer.text)
    assert [message["id"] for message in flow["ui"]["messages"]] == [1010016]
    assert answer.headers.get("content-length") in (None, str(len(answer.content)))


def test_who_kratos_disabled_gets_no_session(browsers, account, admin, record):
    browsers().go_through(account)
    member = record.member(account.email)
    patch = [{"op": "replace", "path": "/state", "value": "inactive"}]
    admin.patch(f"/admin/identities/{member['identity_id']}", json=patch).raise_for_status()
    browser = browsers(accept=JSON)

    answer = browser.go_through(account)

    assert not browser.has_session_cookie
    assert answer.status_code == 401
    [attempt] = record.attempts(browser)
    assert (attempt["outcome"], attempt["code"]) == ("disabled", "identity_disabled")


@pytest.mark.parametrize("status", ["suspended", "banned", "deactivated"])
def test_who_our_tables_shut_out_reads_why(browsers, account, record, status, either):
    """The moment before Kratos knows of it: our hook's sentence."""
    browsers().go_through(account)
    record.until_done(account.email)
    record.rows(
        "UPDATE members SET status = %s WHERE email = %s RETURNING 1", status, account.email
    )

    answer = either.go_through(account)

    assert not either.has_session_cookie
    flow = either.flow(answer) if answer.status_code in (302, 303) else answer.json()
    assert texts_of(flow) == [f"This account is {status}."]
    [attempt] = record.attempts(either)
    assert (attempt["outcome"], attempt["code"]) == ("disabled", f"account_{status}")


# How far it got


STEPS = (
    "state_validation",
    "token_exchange",
    "profile_fetch",
    "user_resolution",
    "account_linking",
    "session_creation",
)


def progress_of(browser, flow, admin, eventually, *, state):
    path = f"/api/flows/{flow['id']}"
    shown = eventually(
        lambda: (found := admin.get(path), found.json().get("state") == state and found.json())[1],
        seconds=5,
    )
    own = browser.http.get(path, headers={"accept": JSON})
    assert own.status_code == 200, own.text
    assert own.json() == shown
    assert shown["kind"] == "oauth"
    assert tuple(step["name"] for step in shown["steps"]) == STEPS
    return shown


def reached(shown):
    return [step["name"] for step in shown["steps"] if step["state"] == shown["state"]]


def test_the_steps_of_the_specification_are_shown(browser, account, admin, eventually):
    flow = browser.start("login")
    address = browser.choose(flow)
    shown = progress_of(browser, flow, admin, eventually, state="waiting")
    assert reached(shown) == ["state_validation"]

    browser.come_back(account.consent(address))

    shown = progress_of(browser, flow, admin, eventually, state="completed")
    assert reached(shown) == list(STEPS)


def test_a_registration_with_a_provider_has_the_steps_of_a_registration(browser, account):
    flow = browser.start("registration")
    browser.come_back(account.consent(browser.choose(flow)))

    shown = browser.http.get(f"/api/flows/{flow['id']}", headers={"accept": JSON}).json()

    assert (shown["kind"], shown["state"]) == ("registration", "completed")


def test_the_step_that_failed_is_shown(browsers, account, admin, eventually):
    refused = browsers()
    flow = refused.start("login")
    refused.come_back(account.refuse(refused.choose(flow)))
    shown = progress_of(refused, flow, admin, eventually, state="failed")
    assert shown["error"] == {"step": "token_exchange", "code": "kratos_4000001"}

    forged = browsers()
    flow = forged.start("login")
    forged.choose(flow)
    forged.come_back("/self-service/methods/oidc/callback/demo?code=x&state=guessed")
    shown = progress_of(forged, flow, admin, eventually, state="failed")
    assert shown["error"]["step"] == "state_validation"


def test_a_link_that_is_offered_waits_for_the_person(stack, browser, member, admin, eventually):
    account = Account(stack.facts["oidc_provider_url"], email=member.email)
    flow = browser.start("login")
    browser.come_back(account.consent(browser.choose(flow)))
    path = f"/api/flows/{flow['id']}"
    shown = eventually(
        lambda: (
            [
                step["name"]
                for step in admin.get(path).json().get("steps", [])
                if step["state"] == "waiting"
            ]
            == ["account_linking"]
            and admin.get(path).json()
        )
    )
    assert shown["state"] == "waiting"


# Native clients


class Native:
    """An app: no cookies of its own, the provider's page in the system's browser."""

    def __init__(self, stack):
        self.http = httpx.Client(base_url=stack.edge_url, headers={"accept": JSON}, timeout=30)
        self.back_to = f"{stack.edge_url}/"

    def start(self):
        query = {"return_session_token_exchange_code": "true", "return_to": self.back_to}
        return self.http.get("/self-service/login/api", params=query).json()

    def exchange(self, flow, code):
        query = {
            "init_code": flow["session_token_exchange_code"],
            "return_to_code": code,
        }
        return self.http.get("/sessions/token-exchange", params=query)


@pytest.fixture
def native(stack):
    made = Native(stack)
    yield made
    made.http.close()


def through_the_system_browser(native, flow, browser: Visitor, account) -> str:
    answer = native.http.post(flow["ui"]["action"], json={"method": "oidc", "provider": "demo"})
    assert answer.status_code == 422
    back = browser.come_back(account.consent(answer.json()["redirect_browser_to"]))
    assert back.headers["location"].startswith(native.back_to)
    return httpx.URL(back.headers["location"]).params["code"]


def test_an_app_exchanges_two_codes_for_a_session(native, browsers, account, record, eventually):
    for _ in range(2):
        flow = native.start()
        code = through_the_system_browser(native, flow, browsers(), account)
        answer = native.exchange(flow, code)

    token = answer.json()["session_token"]
    me = native.http.get("/api/me", headers={"x-session-token": token}).json()
    assert (me["email"], me["status"]) == (account.email, "active")
    member = record.member(account.email)
    assert [row["methods"] for row in record.sessions(member["identity_id"])] == [["oidc"]] * 2
    eventually(lambda: record.member(account.email)["login_count"] == 2)


def test_codes_given_twice_give_the_same_session_and_nothing_after_a_logout(
    native, browsers, account
):
    """v1.3.1 does not use its codes up; both are needed each time."""
    flow = native.start()
    code = through_the_system_browser(native, flow, browsers(), account)
    first, again = native.exchange(flow, code).json(), native.exchange(flow, code).json()
    assert first["session"]["id"] == again["session"]["id"]

    token = {"session_token": first["session_token"]}
    native.http.request("DELETE", "/self-service/logout/api", json=token).raise_for_status()

    late = native.exchange(flow, code)
    assert "session_token" not in late.text


def test_one_code_alone_is_worth_nothing(native, browsers, account):
    flow, other = native.start(), native.start()
    code = through_the_system_browser(native, flow, browsers(), account)
    assert native.exchange(other, code).status_code >= 400
    assert native.exchange(flow, "guessed").status_code >= 400


def test_an_app_gets_no_session_of_somebody_unverified(stack, native, browsers, record):
    account = Account(stack.facts["oidc_provider_url"], email_verified=False)
    flow = native.start()
    code = through_the_system_browser(native, flow, browsers(), account)

    answer = native.exchange(flow, code)

    assert answer.status_code == 403
    assert "session_token" not in answer.text
    member = record.member(account.email)
    assert member["status"] == "pending_verification"
    assert [row["end_reason"] for row in record.sessions(member["identity_id"])] == ["not_allowed"]


def test_an_id_token_is_no_way_in_at_a_generic_provider(stack, account):
    """v1.3.1 takes id tokens of Apple and Google alone."""
    with httpx.Client(base_url=stack.edge_url, headers={"accept": JSON}, timeout=30) as client:
        for kind in ("login", "registration"):
            flow = client.get(f"/self-service/{kind}/api").json()
            body = {
                "method": "oidc",
                "provider": "rival",
                "id_token": stack.rival.keys.sign({"sub": account.subject}, "ES256"),
                "id_token_nonce": "n",
            }
            answer = client.post(flow["ui"]["action"], json=body)
            assert answer.status_code >= 400
            assert "session_token" not in answer.text
            assert "127.0.0.1:44" not in answer.text
