"""Which tokens the verifier believes, and which it refuses (RFC 8725, RFC 9068)."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from kleis_client import TokenVerifier
from kleis_client.errors import TokenExpiredError, TokenInvalidError, TokenMissingError
from kleis_client.verifier import bearer_token
from tests.kit.issuer_double import AUDIENCE, SigningKey, encoded


def refused(verifier, token):
    """Return why a token is refused."""
    with pytest.raises(TokenInvalidError) as caught:
        verifier.verify(token)
    return caught.value.reason


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_a_good_token_is_a_member(issuer, verifier, algorithm):
    issuer.keys = [SigningKey("key-9", algorithm)]
    claims = issuer.claims(acr="aal2", amr=["pwd", "totp"], permissions_truncated=True)
    member = verifier.verify(issuer.keys[0].sign(claims))
    assert (member.id, member.session_id) == (claims["sub"], claims["sid"])
    assert member.roles == {"user"}
    assert member.assurance == "aal2"
    assert member.methods == ("pwd", "totp")
    assert member.permissions_truncated
    assert member.expires_at == claims["exp"]


def test_a_good_token_is_a_member_on_an_event_loop_too(issuer, verifier):
    claims = issuer.claims()
    token = issuer.keys[0].sign(claims)

    async def both():
        return await asyncio.gather(*(verifier.verify_async(token) for _ in range(20)))

    assert {member.id for member in asyncio.run(both())} == {claims["sub"]}
    assert issuer.asked["/.well-known/jwks.json"] == 1


def test_a_member_holds_what_its_token_names_and_what_a_wildcard_covers(issuer, verifier):
    member = verifier.verify(issuer.token(permissions=["content.view", "comment.*"]))
    assert member.holds("content.view")
    assert member.holds("comment.delete")
    assert not member.holds("comment")
    assert not member.holds("content.publish")
    assert verifier.verify(issuer.token(permissions=["*"])).holds("anything.at.all")


def test_a_token_without_a_signature_is_refused(issuer, verifier):
    head, payload, _ = issuer.token().split(".")
    none = encoded({"alg": "none", "typ": "at+jwt", "kid": "key-1"})
    assert refused(verifier, f"{head}.{payload}.") == "not_a_token"
    assert refused(verifier, f"{none}.{payload}.") == "not_a_token"
    assert refused(verifier, f"{none}.{payload}.AAAA") == "algorithm"


@pytest.mark.parametrize("form", ["pem", "raw", "jwk"])
def test_the_public_key_is_no_shared_secret(issuer, verifier, form):
    key = issuer.keys[0]
    public = key.private.public_key()
    secret = {
        "pem": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "raw": public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
        "jwk": json.dumps(key.jwk).encode(),
    }[form]
    head = encoded({"alg": "HS256", "typ": "at+jwt", "kid": key.id})
    signed = f"{head}.{encoded(issuer.claims())}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    assert refused(verifier, f"{signed}.{jwt.utils.base64url_encode(mac).decode()}") == "algorithm"


def test_a_key_is_good_for_its_own_algorithm_alone(issuer, verifier):
    issuer.keys = [SigningKey("ed"), SigningKey("ec", "ES256")]
    head = encoded({"alg": "ES256", "typ": "at+jwt", "kid": "ed"})
    signed = f"{head}.{encoded(issuer.claims())}"
    signature = issuer.keys[0].private.sign(signed.encode())
    token = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert refused(verifier, token) == "algorithm"
    # And a token of one key does not pass under the other's id.
    assert refused(verifier, issuer.keys[1].sign(issuer.claims(), kid="ed")) == "algorithm"


def test_a_key_that_the_token_brings_along_is_not_used(issuer, verifier):
    stranger = SigningKey("key-1")
    brought = {"jwk": stranger.jwk, "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"}
    assert refused(verifier, stranger.sign(issuer.claims(), **brought)) == "signature"


@pytest.mark.parametrize(
    "key_id",
    [
        "../../../dev/null",
        "key-1' or '1'='1",
        "http://127.0.0.1:1/jwks.json",
        "key-1\x00",
        "k" * 129,
        "",
        7,
        None,
        ["key-1"],
        {"a": 1},
    ],
)
def test_a_key_id_is_a_plain_name_and_nothing_else(issuer, verifier, key_id):
    head = encoded({"alg": "EdDSA", "typ": "at+jwt", "kid": key_id})
    signed = f"{head}.{encoded(issuer.claims())}"
    signature = issuer.keys[0].private.sign(signed.encode())
    token = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert refused(verifier, token) == "key_id"
    assert issuer.asked.total() == 0


@pytest.mark.parametrize("kind", ["JWT", "dpop+jwt", "id+jwt", "", None, 1])
def test_another_kind_of_token_of_the_same_issuer_is_refused(issuer, verifier, kind):
    head = encoded({"alg": "EdDSA", "typ": kind, "kid": "key-1"})
    signed = f"{head}.{encoded(issuer.claims())}"
    signature = issuer.keys[0].private.sign(signed.encode())
    token = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert refused(verifier, token) == "type"


@pytest.mark.parametrize("extension", [{"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}])
def test_extensions_that_must_be_understood_are_refused(issuer, verifier, extension):
    head = encoded({"alg": "EdDSA", "typ": "at+jwt", "kid": "key-1"} | extension)
    signed = f"{head}.{encoded(issuer.claims())}"
    signature = issuer.keys[0].private.sign(signed.encode())
    token = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert refused(verifier, token) == "extension"


def test_a_changed_token_is_refused(issuer, verifier):
    head, payload, signature = issuer.token().split(".")
    other = encoded(issuer.claims(roles=["admin"]))
    assert refused(verifier, f"{head}.{other}.{signature}") == "signature"
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert refused(verifier, f"{head}.{payload}.{flipped}") == "signature"


def test_one_token_has_one_spelling(issuer, verifier):
    token = issuer.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    position = alphabet.index(token[-1])
    assert refused(verifier, token[:-1] + alphabet[position + 1]) == "encoding"
    for spelling in (f"{token}=", f" {token}", f"{token}\n", token.replace(".", "..", 1)):
        assert refused(verifier, spelling) == "not_a_token"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://id.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "another-shop"}, "audience"),
        ({"aud": [AUDIENCE]}, "audience"),
        ({"aud": None}, "audience"),
        ({"sub": None}, "claim_sub"),
        ({"sub": "ada"}, "claim_sub"),
        ({"sub": 7}, "claim_sub"),
        ({"sid": None}, "claim_sid"),
        ({"jti": None}, "claim_jti"),
        ({"iat": None}, "claim_iat"),
        ({"nbf": None}, "claim_nbf"),
        ({"exp": None}, "claim_exp"),
        ({"exp": "4102444800"}, "claim_exp"),
        ({"exp": True}, "claim_exp"),
        ({"exp": 4102444800.5}, "claim_exp"),
        ({"exp": -1}, "claim_exp"),
        ({"exp": 2**53}, "claim_exp"),
        ({"auth_time": None}, "claim_auth_time"),
        ({"amr": "pwd"}, "claim_amr"),
        ({"acr": "aal3"}, "claim_acr"),
        ({"acr": None}, "claim_acr"),
        ({"roles": None}, "claim_roles"),
        ({"roles": "admin"}, "claim_roles"),
        ({"permissions": None}, "claim_permissions"),
        ({"permissions": [["*"]]}, "claim_permissions"),
        ({"permissions_truncated": "no"}, "claim_permissions_truncated"),
        ({"status": None}, "claim_status"),
        ({"status": "suspended"}, "status"),
        ({"status": "deleted"}, "status"),
    ],
)
def test_each_claim_is_there_and_of_its_type(issuer, verifier, changes, reason):
    assert refused(verifier, issuer.token(**changes)) == reason


def signed_text(issuer, text):
    """Sign a payload as it is, which no JSON writer would write."""
    return jwt.api_jws.encode(
        text.encode("utf-8", "surrogatepass"),
        issuer.keys[0].private,
        "EdDSA",
        headers={"typ": "at+jwt", "kid": "key-1"},
    )


@pytest.mark.parametrize(
    "exp", ["1e400", "NaN", "Infinity", "9" * 18, "9" * 5000, "1e15", "-Infinity"]
)
def test_a_huge_number_is_refused_and_breaks_nothing(issuer, verifier, exp):
    text = json.dumps(issuer.claims(exp=0)).replace('"exp": 0', f'"exp": {exp}')
    assert f'"exp": {exp}' in text
    assert refused(verifier, signed_text(issuer, text)) in {"not_json", "claim_exp"}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "{",
        "{}garbage",
        '{"iss": "a", "iss": "b"}',
        "[" * 5000,
        '{"a":' * 900 + "1" + "}" * 900,
        "\ud800",
    ],
)
def test_a_payload_that_is_no_plain_object_is_refused(issuer, verifier, text):
    assert refused(verifier, signed_text(issuer, text)) in {"not_json", "not_an_object", "issuer"}


def test_a_deep_or_broken_header_is_refused_before_any_key_is_looked_for(issuer, verifier):
    for head in (b"[" * 300, b"\xff\xfe", b'{"alg": 1e999}', b"7", b'{"alg":"none","alg":"EdDSA"}'):
        segment = base64.urlsafe_b64encode(head).rstrip(b"=").decode()
        assert refused(verifier, f"{segment}.e30.AAAA") in {"not_json", "not_an_object"}
    assert issuer.asked.total() == 0


def test_a_huge_token_is_refused_unread(issuer, verifier):
    assert refused(verifier, issuer.token(permissions=["x" * 20_000])) == "too_long"
    assert refused(verifier, f"{'A' * 600}.e30.AAAA") == "header_too_long"
    assert refused(verifier, "a.b.c" * 1_000_000) == "too_long"
    assert issuer.asked.total() == 0


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", "ä.b.c", "\ud800.b.c", "a b.c"])
def test_what_is_no_token_is_refused(verifier, token):
    assert refused(verifier, token) == "not_a_token"


def test_a_token_is_good_until_its_end_and_the_leeway_are_over(issuer, verifier, clock):
    token = issuer.token()
    clock.ahead = 900 + 20
    verifier.verify(token)
    clock.ahead = 900 + 31
    with pytest.raises(TokenExpiredError):
        verifier.verify(token)


def test_a_token_from_a_clock_ten_minutes_off_is_refused(issuer, verifier, clock):
    clock.ahead = -600
    assert refused(verifier, issuer.token()) == "not_yet_valid"
    clock.ahead = -20
    verifier.verify(issuer.token())


def test_leeway_has_a_bound(issuer):
    with pytest.raises(ValueError, match="leeway"):
        TokenVerifier(issuer.url, AUDIENCE, leeway=61)


@pytest.mark.parametrize(
    "url", ["id.example", "ftp://id.example", "https://a:b@id.example", "https://x/?a"]
)
def test_an_issuer_is_an_address(url):
    with pytest.raises(ValueError, match="address"):
        TokenVerifier(url, AUDIENCE)


def test_the_same_token_is_verified_once(issuer, make_verifier):
    verifier = make_verifier(cache_size=2)
    tokens = [issuer.token(sub=str(uuid.uuid4())) for _ in range(4)]
    first = verifier.verify(tokens[0])
    assert verifier.verify(tokens[0]) is first
    for token in tokens[1:]:
        verifier.verify(token)
    assert len(verifier._verified) == 2
    again = verifier.verify(tokens[0])
    assert again == first
    assert again is not first


def test_an_expired_token_leaves_the_cache(issuer, verifier, clock):
    token = issuer.token()
    verifier.verify(token)
    assert len(verifier._verified) == 1
    clock.ahead = 1000
    with pytest.raises(TokenExpiredError):
        verifier.verify(token)
    assert len(verifier._verified) == 0


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer\ttoken"])
def test_a_header_without_a_bearer_token_is_told_apart(header):
    with pytest.raises(TokenMissingError):
        bearer_token(header)


def test_the_scheme_of_the_header_is_written_in_any_case(issuer, verifier):
    assert verifier.verify_header(f"bEARER  {issuer.token()}")
