"""Access tokens as our own API takes them, and whatever else claims to be one."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integration.db import member_sessions
from integration.db import signing_keys as key_rows
from integration.db.token_tables import SigningKey
from integration.errors import InvalidInputError
from integration.members import lifecycle
from integration.tokens import access, issuing, jwk, key_sealing
from policies.authority import Role
from policies.lifecycle import Actor, Trigger
from tests.token_stage import kratos_session, ring_of, somebody, tokens_of


@pytest.fixture
def ring(services):
    return ring_of(services)


@pytest.fixture
def ada(services, ring):
    return somebody(services, ring)


@pytest.fixture
def key(services, ring):
    """The key that signs, opened."""
    return ring.signer().half


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def said(token):
    return jwt.decode(token, options={"verify_signature": False})


def header_of(token):
    return jwt.get_unverified_header(token)


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def is_refused(api, token):
    answer = api.get("/api/me", headers=bearer(token))
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_a_token_says_what_was_promised(services, ring, clock):
    who = somebody(services, ring, Role.CREATOR)
    token = who.tokens.access_token
    claims = said(token)
    now = int(clock().timestamp())
    assert header_of(token) == {"typ": "at+jwt", "alg": "EdDSA", "kid": ring.signer().half.kid}
    assert claims.pop("jti")
    assert isinstance(claims.pop("permissions"), list)
    assert claims == {
        "iss": "http://127.0.0.1:4455",
        "sub": str(who.identity_id),
        "aud": "kleis",
        "sid": str(who.session_id),
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "auth_time": now,
        "amr": ["password"],
        "acr": "aal1",
        "roles": ["creator"],
        "status": "active",
    }


def test_it_opens_the_api_like_the_session_it_came_from(api, ada):
    answer = api.get("/api/me", headers=ada.bearer)
    assert answer.status_code == 200
    assert answer.json()["id"] == str(ada.identity_id)


def test_it_gives_no_further_tokens(api, ada):
    """Else fifteen minutes would become seven days. Kratos, which is out of reach, is not asked."""
    answer = api.post("/api/tokens", headers=ada.bearer)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:kleis:problem:session_required"


def test_beside_a_session_it_is_the_session_that_gives_tokens(api, ada):
    """Kratos is asked about it, and is out of reach."""
    for session in ({"Cookie": "ory_kratos_session=x"}, {"X-Session-Token": "x"}):
        answer = api.post("/api/tokens", headers={**ada.bearer, **session})
        assert answer.status_code == 503


def test_a_token_never_outlives_its_session(services, ring, clock):
    who = somebody(services, ring)
    soon = clock() + timedelta(minutes=3)
    seen = kratos_session(services, who.identity_id, expires_at=soon)
    tokens = tokens_of(services, ring, seen)
    assert said(tokens.access_token)["exp"] == int(soon.timestamp())
    assert tokens.access_lifetime <= timedelta(minutes=3)


def test_an_expired_token_is_refused(api, clock, ada):
    clock.advance(timedelta(minutes=14, seconds=59))
    assert api.get("/api/me", headers=ada.bearer).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert is_refused(api, ada.tokens.access_token)


def test_a_token_of_a_clock_ten_minutes_ahead_is_refused(api, clock, ada):
    clock.advance(timedelta(minutes=-10))
    assert is_refused(api, ada.tokens.access_token)


def test_a_token_without_a_signature_is_refused(api, ada):
    claims, kid = said(ada.tokens.access_token), header_of(ada.tokens.access_token)["kid"]
    for alg in ("none", "None", "NONE", "nOnE"):
        head = {"alg": alg, "typ": "at+jwt", "kid": kid}
        assert is_refused(api, f"{part(head)}.{part(claims)}.")
        head.pop("kid")
        assert is_refused(api, f"{part(head)}.{part(claims)}.")


def test_a_public_key_is_no_shared_secret(services, api, key, ada):
    public = key.private.public_key()
    shown = json.dumps(jwk.to_jwk(public)).encode()
    spellings = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        shown,
    ]
    claims = said(ada.tokens.access_token)
    for secret in spellings:
        signed = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid})}.{part(claims)}"
        mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
        assert is_refused(api, f"{signed}.{part(mac)}")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_key_of_somebody_else_signs_nothing(api, key, ada, algorithm):
    private = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "EdDSA": Ed25519PrivateKey.generate,
    }[algorithm]()
    claims = said(ada.tokens.access_token)
    headers = {"typ": "at+jwt", "kid": key.kid}
    assert is_refused(api, jwt.encode(claims, private, algorithm=algorithm, headers=headers))


def test_a_token_brings_no_key_along(api, ada):
    private = Ed25519PrivateKey.generate()
    shown = jwk.to_jwk(private.public_key())
    claims = said(ada.tokens.access_token)
    kid = header_of(ada.tokens.access_token)["kid"]
    for more in (
        {"jwk": shown},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["exp"]},
    ):
        headers = {"typ": "at+jwt", "kid": kid, **more}
        assert is_refused(api, jwt.encode(claims, private, algorithm="EdDSA", headers=headers))


@pytest.mark.parametrize(
    "kid",
    [
        "' or '1'='1",
        "../../../../dev/null",
        "x'; drop table signing_keys; --",
        "",
        None,
        7,
        ["a"],
        {"$ne": 1},
        "\x00",
        "a" * 8000,
    ],
)
def test_the_name_of_a_key_is_only_ever_compared(services, api, ada, kid):
    head = {"alg": "EdDSA", "typ": "at+jwt", "kid": kid}
    claims = said(ada.tokens.access_token)
    assert is_refused(api, f"{part(head)}.{part(claims)}.{part(b'x' * 64)}")
    with services.transaction() as session:
        assert key_rows.everything(session)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "somebody-else"},
        {"aud": ["kleis"]},
        {"aud": ["kleis", "other"]},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 1e300},
        {"iat": 1.5},
        {"nbf": 99999999999},
        {"sub": "nobody"},
        {"sid": "../x"},
        {"sid": None},
        {"roles": ["admin"]},
        {"roles": "user"},
        {"jti": None},
    ],
)
def test_also_a_well_signed_token_has_to_be_one_of_ours(api, key, ada, change):
    claims = said(ada.tokens.access_token) | change
    claims = {name: value for name, value in claims.items() if value is not None}
    token = jwt.encode(
        claims, key.private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid}
    )
    assert is_refused(api, token)


@pytest.mark.parametrize("kind", ["JWT", "dpop+jwt", "logout+jwt", None])
def test_another_kind_of_token_of_the_same_key_is_none(api, key, ada, kind):
    claims = said(ada.tokens.access_token)
    headers = {"typ": kind, "kid": key.kid}
    assert is_refused(api, jwt.encode(claims, key.private, algorithm="EdDSA", headers=headers))


def test_a_session_of_somebody_else_is_not_ones_own(services, ring, api, key, ada):
    eve = somebody(services, ring)
    claims = said(eve.tokens.access_token) | {"sid": str(ada.session_id)}
    assert is_refused(api, access.sign(claims, key))


@pytest.mark.parametrize(
    "token",
    [
        "ey.ey.ey",
        "ey" + "A" * 20_000 + "..",
        "eyJ9..",
        part(b"[" * 5000) + ".e.e",
        part({"alg": "EdDSA", "typ": "at+jwt", "kid": "x"}) + "." + part(b"9" * 5000) + ".AA",
    ],
)
def test_garbage_is_refused(api, token):
    assert is_refused(api, token if token.startswith("ey") else "ey" + token)


def test_a_deleted_members_token_is_worth_nothing(services, api, ada):
    with services.transaction() as session:
        lifecycle.transition(
            session,
            ada.identity_id,
            Trigger.ADMIN_DELETION,
            actor=Actor.ADMIN,
            now=services.now(),
        )
    assert is_refused(api, ada.tokens.access_token)


def test_a_role_change_makes_older_tokens_say_too_much(services, ring, api, clock):
    boss = somebody(services, ring, Role.ADMIN)
    with services.transaction() as session:
        lifecycle.assign_role(session, boss.identity_id, Role.USER, now=services.now())
    assert is_refused(api, boss.tokens.access_token)
    again = refreshed(api, boss.tokens.refresh_token)
    assert said(again)["roles"] == ["user"]
    assert api.get("/api/me", headers=bearer(again)).status_code == 200


def test_a_role_that_went_and_came_back_does_not_revive_a_token(services, ring, api, clock):
    boss = somebody(services, ring, Role.ADMIN)
    clock.advance(timedelta(seconds=2))
    for role in (Role.USER, Role.ADMIN):
        with services.transaction() as session:
            lifecycle.assign_role(session, boss.identity_id, role, now=services.now())
    assert is_refused(api, boss.tokens.access_token)
    assert api.get("/api/me", headers=bearer(refreshed(api, boss.tokens.refresh_token))).is_success


def refreshed(api, token):
    body = {"refresh_token": token}
    headers = {"User-Agent": "Owner/1.0"}
    return api.post("/api/tokens/refresh", json=body, headers=headers).json()["access_token"]


def test_a_session_past_its_end_is_over_whatever_the_token_says(services, api, ada):
    with services.transaction() as session:
        row = member_sessions.get(session, ada.session_id)
        row.expires_at = services.now()
    assert is_refused(api, ada.tokens.access_token)


def test_an_unregistered_application_gets_nothing(services, ring):
    several = services.settings.model_copy(update={"applications": ("shop", "studio")})
    assert issuing.audience(several, None) == "shop"
    assert issuing.audience(several, "studio") == "studio"
    for name in ("kleis", "", "Shop", "shop,studio"):
        with pytest.raises(InvalidInputError):
            issuing.audience(several, name)


def test_a_private_key_is_only_opened_with_its_secret_under_its_name(services, ring):
    ring.signer()
    with services.transaction() as session:
        [row] = key_rows.everything(session)
    assert key_sealing.unseal(row.sealed, row.kid, secret="another secret") is None
    assert key_sealing.unseal(row.sealed, "another", secret=secret_of(services)) is None
    assert key_sealing.unseal(row.sealed[:-1], row.kid, secret=secret_of(services)) is None
    assert key_sealing.unseal(b"", row.kid, secret=secret_of(services)) is None
    opened = key_sealing.unseal(row.sealed, row.kid, secret=secret_of(services))
    assert jwk.thumbprint(jwk.to_jwk(opened.public_key())) == row.kid
    assert "d" not in row.public_jwk


def secret_of(services):
    return services.settings.secret.get_secret_value()


def test_a_key_put_into_another_keys_row_is_not_used(services, ring):
    ring.signer()
    other = key_sealing.generate("EdDSA")
    with services.transaction() as session:
        [row] = key_rows.everything(session)
        row.sealed = key_sealing.seal(other, str(uuid4()), secret=secret_of(services))
        first = row.kid
    assert ring_of(services).signer().half.kid != first
    with services.transaction() as session:
        assert session.get(SigningKey, first).retired_at is None
