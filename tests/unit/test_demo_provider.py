"""The demo OpenID provider: who gets a code, what a code is worth, whom it tells what."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from fastapi.testclient import TestClient

from integration.launch.demo_provider.app import make_app
from integration.launch.demo_provider.people import PEOPLE
from integration.launch.demo_provider.provider import Client, DemoProvider

ISSUER = "http://127.0.0.1:4459"
BACK = "http://127.0.0.1:4455/self-service/methods/oidc/callback/demo"
CLIENT = Client("kleis", "secret: with/odd+characters", frozenset({BACK}))
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
ASKED = {
    "client_id": "kleis",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid email profile",
    "state": "abc",
    "nonce": "n-1",
    "code_challenge": CHALLENGE.decode(),
    "code_challenge_method": "S256",
    "login_hint": "grace",
}


@pytest.fixture(params=["RS256", "ES256"])
def provider(request):
    return DemoProvider(ISSUER, CLIENT, PEOPLE, algorithm=request.param)


@pytest.fixture
def http(provider):
    return TestClient(make_app(provider), base_url=ISSUER, follow_redirects=False)


def answer(http, **changed):
    query = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    return http.get("/authorize", params=query)


def said(response):
    parts = urlsplit(response.headers["location"])
    assert parts._replace(query="").geturl() == BACK
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def redeem(http, code, *, auth=("kleis", CLIENT.secret), **changed):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    quoted = None
    if auth is not None:
        # As Go's client does: both are encoded before they are put together.
        quoted = (auth[0], auth[1].replace(":", "%3A").replace("/", "%2F").replace("+", "%2B"))
        quoted = (quoted[0], quoted[1].replace(" ", "+"))
    return http.post("/token", data=form, auth=quoted)


def test_it_says_where_everything_is(http):
    told = http.get("/.well-known/openid-configuration").json()
    assert told["issuer"] == ISSUER
    assert {told[name] for name in told if name.endswith("_endpoint")} == {
        f"{ISSUER}/authorize",
        f"{ISSUER}/token",
        f"{ISSUER}/userinfo",
    }


def test_an_id_token_is_signed_by_a_published_key_and_meant_for_the_client(http, provider):
    back = said(answer(http))
    assert (back["state"], back["iss"]) == ("abc", ISSUER)

    issued = redeem(http, back["code"]).json()

    keys = jwt.PyJWKSet.from_dict(http.get("/jwks").json())
    header = jwt.get_unverified_header(issued["id_token"])
    claims = jwt.decode(
        issued["id_token"],
        keys[header["kid"]],
        algorithms=[provider.algorithm],
        audience="kleis",
        issuer=ISSUER,
    )
    assert (claims["sub"], claims["nonce"]) == ("grace", "n-1")
    assert (claims["email"], claims["email_verified"]) == ("grace@provider.example", True)
    about = http.get("/userinfo", headers={"authorization": f"Bearer {issued['access_token']}"})
    assert about.json()["name"] == "Grace Hopper"


def test_only_what_the_scope_asks_for_is_told(http):
    issued = redeem(http, said(answer(http, scope="openid"))["code"]).json()
    claims = jwt.decode(issued["id_token"], options={"verify_signature": False})
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "nonce"}


def test_without_a_hint_the_page_asks_who_it_is(http):
    page = answer(http, login_hint=None)
    assert page.status_code == 200
    assert "Continue as Grace Hopper" in page.text
    assert said(answer(http, login_hint=None, prompt="none"))["error"] == "login_required"
    assert said(answer(http, login_hint=None, refuse="yes"))["error"] == "access_denied"


def test_a_page_shows_nothing_as_markup(http, provider):
    provider.people["x"] = {"name": "<script>alert(1)</script>"}
    page = answer(http, login_hint=None, state='"><script>')
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
    ],
)
def test_what_it_does_not_do_it_says_to_the_client(http, changed, error):
    assert said(answer(http, **changed))["error"] == error


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{BACK}/x"},
        {"redirect_uri": None},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(http, changed):
    refused = answer(http, **changed)
    assert refused.status_code == 400
    assert "location" not in refused.headers


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:4455/"},
        {"code": "guessed"},
    ],
)
def test_a_code_is_for_who_asked_for_it(http, changed):
    code = said(answer(http))["code"]
    refused = redeem(http, **{"code": code, **changed})
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})


def test_a_code_works_once(http):
    code = said(answer(http))["code"]
    assert redeem(http, code).status_code == 200
    assert redeem(http, code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(("name", "secret"), [("kleis", "wrong"), ("other", CLIENT.secret)])
def test_a_code_needs_the_clients_secret(http, name, secret):
    code = said(answer(http))["code"]
    assert redeem(http, code, auth=(name, secret)).status_code == 401


def test_an_access_token_is_no_id_token_and_the_other_way_round(http):
    issued = redeem(http, said(answer(http))["code"]).json()
    wrong = http.get("/userinfo", headers={"authorization": f"Bearer {issued['id_token']}"})
    assert wrong.status_code == 401
    assert http.get("/userinfo").status_code == 401


def test_it_answers_to_no_other_name(http):
    assert http.get("/jwks", headers={"host": "evil.example"}).status_code == 400
