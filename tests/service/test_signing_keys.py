"""Signing keys: made once, shown before they sign, and shown until nothing of theirs is left."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from pydantic import SecretStr

from integration.db import signing_keys as rows
from integration.tokens import signing_keys
from integration.tokens.access import AccessTokens, InvalidTokenError, key_from_jwk
from tests.token_stage import ring_of, somebody


def shown(services):
    """What a verifier that fetches now is shown, by a process that has just looked."""
    return {key["kid"]: key for key in ring_of(services).jwks()["keys"]}


def verifier(services, keys):
    return AccessTokens(
        dict(key_from_jwk(key) for key in keys.values()),
        issuer="http://127.0.0.1:4455",
        audiences=frozenset({"kleis"}),
    )


def changed(services, **settings):
    return replace(services, settings=services.settings.model_copy(update=settings))


def rotate(services):
    with services.transaction() as session:
        return signing_keys.rotate(session, services.settings, now=services.now()).kid


def test_the_published_keys_may_be_kept_for_a_while(api):
    answer = api.get("/.well-known/jwks.json")
    [key] = answer.json()["keys"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert "d" not in key


def test_many_processes_make_one_first_key(services):
    rings = [ring_of(services) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        kids = set(pool.map(lambda ring: ring.signer().half.kid, rings))
    assert len(kids) == 1
    with services.transaction() as session:
        assert len(rows.everything(session)) == 1


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_a_verifier_that_keeps_keys_as_long_as_it_may_always_knows_the_one(
    services, clock, algorithm
):
    """It fetches every five minutes, tokens are made all the time, keys are rotated often."""
    services = changed(services, token_algorithm=algorithm)
    kept, fetched_at = shown(services), clock()
    used = set()
    for step in range(60):
        clock.advance(timedelta(seconds=61))
        if step % 12 == 5:
            rotate(services)
        token = somebody(services, ring_of(services)).tokens.access_token
        if clock() - fetched_at >= timedelta(minutes=5):
            kept, fetched_at = shown(services), clock()
        verifier(services, kept).verify(token, clock())
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        used.add(jwt.get_unverified_header(token)["kid"])
    assert len(used) == 6


def test_an_old_key_is_shown_until_its_last_token_has_expired_and_no_longer(services, clock):
    first = somebody(services, ring_of(services)).tokens.access_token
    old = jwt.get_unverified_header(first)["kid"]
    rotate(services)
    clock.advance(timedelta(minutes=5, seconds=29))
    last = somebody(services, ring_of(services)).tokens.access_token
    assert jwt.get_unverified_header(last)["kid"] == old
    clock.advance(timedelta(seconds=1))
    following = somebody(services, ring_of(services)).tokens.access_token
    assert jwt.get_unverified_header(following)["kid"] != old
    clock.advance(timedelta(minutes=14, seconds=58))
    assert old in shown(services)
    verifier(services, shown(services)).verify(last, clock())
    clock.advance(timedelta(minutes=2))
    assert old not in shown(services)


def test_rotating_twice_in_a_row_makes_one_key(services):
    ring_of(services).signer()
    assert rotate(services) == rotate(services)
    assert len(shown(services)) == 2


def test_rotating_before_there_is_a_key_makes_the_first(services, clock):
    kid = rotate(services)
    assert ring_of(services).signer().half.kid == kid
    assert len(shown(services)) == 1


def test_a_compromised_key_is_gone_at_once(services, api, clock):
    who = somebody(services, ring_of(services))
    with services.transaction() as session:
        signing_keys.replace_compromised(session, services.settings, now=clock())
    keys = shown(services)
    assert len(keys) == 1
    with pytest.raises(InvalidTokenError):
        verifier(services, keys).verify(who.tokens.access_token, clock())
    assert api.get("/api/me", headers=who.bearer).status_code == 401
    body = {"refresh_token": who.tokens.refresh_token}
    fresh = api.post("/api/tokens/refresh", json=body, headers={"User-Agent": "Owner/1.0"})
    verifier(services, keys).verify(fresh.json()["access_token"], clock())


def test_another_algorithm_is_taken_up_once_verifiers_know_the_key(services, clock):
    before = ring_of(services).signer().half
    services = changed(services, token_algorithm="ES256")
    assert ring_of(services).signer().half.kid == before.kid
    assert {key["alg"] for key in shown(services).values()} == {"EdDSA", "ES256"}
    clock.advance(timedelta(minutes=6))
    assert ring_of(services).signer().half.algorithm == "ES256"


def test_with_another_secret_a_new_key_signs_and_old_tokens_stay_good(services):
    who = somebody(services, ring_of(services))
    ring = ring_of(changed(services, secret=SecretStr("quite another secret")))
    assert ring.signer().half.kid != jwt.get_unverified_header(who.tokens.access_token)["kid"]
    ring.verify(who.tokens.access_token)


def test_a_process_meets_a_key_it_has_not_read_yet(services, clock):
    """Another process rotated: unknown names are looked for, once a second at most."""
    ring = ring_of(services)
    ring.signer()
    with services.transaction() as session:
        signing_keys.replace_compromised(session, services.settings, now=clock())
    token = somebody(services, ring_of(services)).tokens.access_token
    deadline = time.monotonic() + 4  # the ring would read anew after 5 seconds anyway
    while True:
        asked_at = time.monotonic()
        if is_good(ring, token):
            break
        assert asked_at < deadline


def is_good(ring, token):
    try:
        return bool(ring.verify(token))
    except InvalidTokenError:
        return False
