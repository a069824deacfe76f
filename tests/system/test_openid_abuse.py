"""What must not pass at an OpenID login: other people's answers, forged ones, foreign addresses."""

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.system.openid import JSON, Account, message_ids


@pytest.fixture
def browser(browsers):
    return browsers()


@pytest.fixture
def database(stack):
    with psycopg.connect(stack.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def rival(stack):
    """The second provider; honest again after each test."""
    yield stack.rival
    stack.rival.twist = dict


def changed(address, **query):
    """Return an address with another query; None takes a name out."""
    parts = urlsplit(address)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()} | query
    kept = {name: value for name, value in given.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


def assert_nobody_is_in(browser, answer, database, account):
    assert not browser.has_session_cookie
    assert browser.whoami().status_code == 401
    found = database.execute("SELECT 1 FROM members WHERE email = %s", (account.email,))
    assert found.fetchone() is None
    assert "127.0.0.1:44" not in answer.text


def test_somebody_who_says_no_at_the_provider_is_back_at_the_login(
    browser, account, database, eventually
):
    address = browser.choose(browser.start("login"))

    answer = browser.come_back(account.refuse(address))

    assert "/login?" in answer.headers["location"]
    assert message_ids(browser.flow(answer)) == [4000001]
    assert_nobody_is_in(browser, answer, database, account)
    agent = browser.http.headers["user-agent"]
    statement = "SELECT outcome, code FROM login_attempts WHERE user_agent = %s"
    rows = eventually(lambda: database.execute(statement, (agent,)).fetchall())
    assert rows == [{"outcome": "validation", "code": "kratos_4000001"}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": None},
        {"state": "guessed"},
        {"state": ""},
        {"code": None},
        {"code": "guessed"},
        {"error": "server_error", "code": None},
    ],
    ids=str,
)
def test_a_changed_answer_lets_nobody_in(browser, account, database, wrong):
    back = account.consent(browser.choose(browser.start("login")))
    answer = browser.come_back(changed(back, **wrong))
    assert_nobody_is_in(browser, answer, database, account)


def test_a_callback_works_once(browsers, account):
    browser = browsers()
    back = account.consent(browser.choose(browser.start("login")))
    browser.come_back(back)
    token = browser.http.get("/self-service/logout/browser", headers={"accept": JSON}).json()
    browser.http.get("/self-service/logout", params={"token": token["logout_token"]})
    assert browser.whoami().status_code == 401

    browser.come_back(back)

    assert browser.whoami().status_code == 401


def test_a_victim_cannot_be_logged_in_as_the_attacker(browsers, account, database):
    """Login CSRF: the state belongs to the browser that started."""
    attacker, victim = browsers(), browsers()
    back = account.consent(attacker.choose(attacker.start("login")))
    assert_nobody_is_in(victim, victim.come_back(back), database, account)

    victim.choose(victim.start("login"))
    assert_nobody_is_in(victim, victim.come_back(back), database, account)


def test_a_stolen_code_is_worth_nothing_in_another_browser(browsers, account, database):
    """PKCE: the code belongs to the state that asked for it."""
    victim, thief = browsers(), browsers()
    stolen = account.consent(victim.choose(victim.start("login")))
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    own = Account(account.provider_url)
    back = own.consent(thief.choose(thief.start("login")))

    answer = thief.come_back(changed(back, code=code))

    assert_nobody_is_in(thief, answer, database, account)


def test_the_answer_of_one_provider_is_none_of_the_other(stack, browser, account, database):
    """Mix-up: state and address must name the same provider, and a code is redeemed where it is
    from."""
    back = account.consent(browser.choose(browser.start("login")))
    parts = urlsplit(back)
    moved = parts._replace(path=parts.path.replace("/callback/demo", "/callback/rival"))
    assert_nobody_is_in(browser, browser.come_back(moved.geturl()), database, account)

    other = Account(stack.rival.issuer)
    from_rival = other.consent(browser.choose(browser.start("login"), "rival"))
    code = parse_qs(urlsplit(from_rival).query)["code"][0]
    back = account.consent(browser.choose(browser.start("login")))
    assert_nobody_is_in(browser, browser.come_back(changed(back, code=code)), database, account)


def test_the_same_subject_at_two_providers_is_two_people(stack, browsers, account):
    twin = Account(stack.rival.issuer, email=f"twin-{account.email}", preferred_username=None)
    twin.claims["preferred_username"] = f"twin-{account.subject[-8:]}"
    twin.subject = account.subject
    twin.tell()
    first, second = browsers(), browsers()
    first.go_through(account)
    second.go_through(twin, provider="rival")
    assert first.me().json()["id"] != second.me().json()["id"]


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://accounts.google.com"},
        {"aud": "somebody else"},
        {"exp": 1},
        {"sub": ""},
        {"sub": "somebody else"},
    ],
    ids=str,
)
def test_an_id_token_that_says_something_else_lets_nobody_in(rival, browser, database, forged):
    account = Account(rival.issuer)
    rival.twist = lambda claims: {**claims, **forged}
    answer = browser.go_through(account, provider="rival")
    assert_nobody_is_in(browser, answer, database, account)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "another key"])
def test_an_id_token_of_another_signature_lets_nobody_in(rival, browser, database, algorithm):
    account = Account(rival.issuer)
    key = {"none": None, "HS256": "kleis at rival" * 4, "another key": None}[algorithm]

    sign = rival.keys.sign
    other = type(rival.keys)()

    def signed(claims, chosen):
        if "scope" in claims:
            return sign(claims, chosen)
        if algorithm == "another key":
            return other.sign(claims, chosen)
        return jwt.encode(claims, key, algorithm=algorithm)

    rival.keys.sign = signed
    try:
        answer = browser.go_through(account, provider="rival")
    finally:
        rival.keys.sign = sign
    assert_nobody_is_in(browser, answer, database, account)


def test_a_callback_without_the_providers_name_passes_the_guards_too(browser, account, database):
    """The name may be left out of the address: Kratos finds it in the state."""
    back = account.consent(browser.choose(browser.start("login")))
    bare = urlsplit(back)._replace(path="/self-service/methods/oidc/callback")

    browser.come_back(bare.geturl())

    rows = database.execute(
        "SELECT methods FROM member_sessions JOIN members USING (identity_id) WHERE email = %s",
        (account.email,),
    ).fetchall()
    assert rows == [{"methods": ["oidc"]}]


def test_no_other_spelling_of_the_callback_is_let_through(browser, account):
    back = urlsplit(account.consent(browser.choose(browser.start("login"))))
    for path in ("callback/", "callback//demo", "Callback/demo", "callback/%64emo"):
        browser.come_back(back._replace(path=f"/self-service/methods/oidc/{path}").geturl())
        assert not browser.has_session_cookie


def test_an_unverified_session_is_held_back_under_every_name_of_the_callback(stack, browser):
    account = Account(stack.facts["oidc_provider_url"], email_verified=False)
    back = account.consent(browser.choose(browser.start("login")))
    bare = urlsplit(back)._replace(path="/self-service/methods/oidc/callback")
    browser.come_back(bare.geturl())
    assert not browser.has_session_cookie


FOREIGN = [
    "https://evil.example/",
    "//evil.example/",
    "http://127.0.0.1.evil.example/",
    "{edge}@evil.example/",
    "{edge}.evil.example/",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("kind", ["login", "registration"])
@pytest.mark.parametrize("foreign", FOREIGN)
def test_nobody_is_sent_to_a_foreign_address_after_the_login(
    stack, browser, account, kind, foreign
):
    query = {"return_to": foreign.format(edge=stack.edge_url)}
    started = browser.http.get(
        f"/self-service/{kind}/browser", params=query, headers={"accept": JSON}
    )
    if started.status_code == 200:
        back = account.consent(browser.choose(started.json()))
        answer = browser.come_back(back)
        place = urlsplit(answer.headers["location"])
        assert f"{place.scheme}://{place.netloc}" == stack.edge_url
    assert started.status_code in (200, 303, 400)


def test_a_callback_brings_no_return_address_of_its_own(stack, browser, account):
    back = account.consent(browser.choose(browser.start("login")))
    answer = browser.come_back(changed(back, return_to="https://evil.example/"))
    assert answer.headers["location"].startswith(f"{stack.edge_url}/")


def test_the_provider_is_told_nothing_about_a_member(stack, browser, account, admin):
    """No hint at who is asked for goes out by itself, at a new login or when one is renewed."""
    browser.go_through(account)
    flow = browser.start("login", refresh="true")
    address = browser.choose(flow)

    asked = parse_qs(urlsplit(address).query)

    assert set(asked) == {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    }
    assert asked["prompt"] == ["login"]
    assert asked["code_challenge_method"] == ["S256"]
    assert account.email not in address
    assert browser.me().json()["id"] not in address


def test_only_a_clients_own_hint_reaches_the_provider(browser):
    address = browser.choose(
        browser.start("login"),
        **{
            "upstream_parameters.login_hint": "grace@provider.example",
            "upstream_parameters.prompt": "login",
        },
    )
    asked = parse_qs(urlsplit(address).query)
    assert asked["login_hint"] == ["grace@provider.example"]
    assert asked["redirect_uri"][0].endswith("/self-service/methods/oidc/callback/demo")


def test_a_client_cannot_choose_where_the_provider_sends_people(browser):
    flow = browser.start("login")
    refused = browser.submit(
        flow, provider="demo", **{"upstream_parameters.redirect_uri": "https://evil.example/"}
    )
    assert "evil.example" not in refused.headers.get("location", "")


def test_the_login_page_tells_nothing_of_a_members_providers(stack, browsers, account, person):
    """Neither which providers an address is linked to, nor whether it is known at all."""
    browsers().go_through(account)
    stranger = browsers()
    flow = stranger.start("login")

    def shown(identifier):
        answer = stranger.submit(flow, method="password", identifier=identifier, password="guess")
        nodes = stranger.flow(answer)["ui"]["nodes"]
        return [(node["group"], node["attributes"].get("name")) for node in nodes]

    assert shown(account.email) == shown(person.email)


def test_a_provider_that_does_not_answer_is_told_in_words(stack, browsers, account):
    browser = browsers()
    flow = browser.start("login")
    issuer = stack.rival.issuer
    stack.rival.issuer = "http://127.0.0.1:9"
    try:
        answer = browser.submit(flow, provider="rival")
    finally:
        stack.rival.issuer = issuer
    assert answer.status_code in (302, 303, 502, 503)
    assert "127.0.0.1:9" not in answer.text
    assert not browser.has_session_cookie


def test_an_unknown_provider_is_an_ordinary_refusal(browser):
    answer = browser.submit(browser.start("login"), provider="nobody-knows")
    assert answer.status_code in (303, 400, 404)
    assert not browser.has_session_cookie


# The demo provider itself


def test_the_demo_provider_listens_on_loopback_and_answers_to_no_other_name(stack):
    url = stack.facts["oidc_provider_url"]
    assert urlsplit(url).hostname == "127.0.0.1"
    asked = httpx.get(f"{url}/jwks", headers={"host": "evil.example"}, timeout=30)
    assert asked.status_code == 400


def test_the_demo_provider_sends_nobody_to_an_address_it_does_not_know(stack, browser, account):
    address = changed(browser.choose(browser.start("login")), redirect_uri="https://evil.example/")
    answer = httpx.get(address, params={"login_hint": account.subject}, timeout=30)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_the_demo_providers_codes_need_the_secret_and_work_once(stack, browser, account):
    url = stack.facts["oidc_provider_url"]
    back = account.consent(browser.choose(browser.start("login")))
    code = parse_qs(urlsplit(back).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back.split("?")[0]}
    assert (
        httpx.post(f"{url}/token", data=form, auth=("kleis", "guess"), timeout=30).status_code
        == 401
    )
    browser.come_back(back)
    assert browser.has_session_cookie
