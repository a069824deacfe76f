"""The issuer's keys: when they are fetched, and how long they count."""

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from aiohttp import web

from kleis_client.errors import KeysUnavailableError, TokenInvalidError
from tests.kit.conftest import eventually
from tests.kit.issuer_double import SigningKey

PATH = "/.well-known/jwks.json"


def test_nothing_is_fetched_before_the_first_token(issuer, verifier):
    assert issuer.asked[PATH] == 0
    verifier.verify(issuer.token())
    verifier.verify(issuer.token())
    assert issuer.asked[PATH] == 1


def test_many_threads_at_the_start_share_one_fetch(issuer, make_verifier):
    token = issuer.token()
    for number in range(1, 11):
        verifier, barrier = make_verifier(), threading.Barrier(16)

        def verify(verifier=verifier, barrier=barrier):
            barrier.wait(30)
            return verifier.verify(token)

        with ThreadPoolExecutor(16) as pool:
            tasks = [pool.submit(verify) for _ in range(16)]
        assert len({task.result() for task in tasks}) == 1
        assert issuer.asked[PATH] == number


def test_keys_are_renewed_when_their_max_age_is_over(issuer, verifier, timer):
    issuer.max_age = 120
    verifier.verify(issuer.token())
    timer.ahead += 119
    verifier.verify(issuer.token())
    assert issuer.asked[PATH] == 1
    timer.ahead += 2
    verifier.verify(issuer.token())
    eventually(lambda: issuer.asked[PATH] == 2)


def test_a_new_key_is_found_at_once_and_made_up_ones_cost_one_fetch(issuer, verifier, timer):
    verifier.verify(issuer.token())
    timer.ahead += 11
    issuer.keys.append(SigningKey("key-2"))
    verifier.verify(issuer.token())
    assert issuer.asked[PATH] == 2
    for number in range(50):
        with pytest.raises(TokenInvalidError, match="unknown_key"):
            verifier.verify(SigningKey(f"made-up-{number}").sign(issuer.claims()))
    assert issuer.asked[PATH] == 2
    timer.ahead += 11
    with pytest.raises(TokenInvalidError, match="unknown_key"):
        verifier.verify(SigningKey("made-up").sign(issuer.claims()))
    assert issuer.asked[PATH] == 3


def test_a_key_that_was_taken_back_takes_its_remembered_tokens_with_it(issuer, verifier, timer):
    token = issuer.token()
    verifier.verify(token)
    issuer.keys = [SigningKey("key-2")]
    timer.ahead += 301

    def is_refused():
        try:
            verifier.verify(token)
        except TokenInvalidError as error:
            return error.reason == "unknown_key"
        return False

    eventually(is_refused)


def test_a_key_that_was_replaced_under_its_own_id_takes_its_tokens_with_it(issuer, verifier, timer):
    token = issuer.token()
    verifier.verify(token)
    issuer.keys = [SigningKey("key-1")]
    timer.ahead += 301

    def is_refused():
        try:
            verifier.verify(token)
        except TokenInvalidError as error:
            return error.reason == "signature"
        return False

    eventually(is_refused)


def test_old_keys_count_for_a_while_when_the_issuer_is_down(issuer, make_verifier, timer):
    verifier = make_verifier(max_stale=1000, leeway=0)
    token = issuer.token()
    verifier.verify(token)
    issuer.stop()
    timer.ahead += 300 + 990
    verifier.verify(token)
    timer.ahead += 20
    with pytest.raises(KeysUnavailableError):
        verifier.verify(token)
    issuer.start()
    timer.ahead += 11
    verifier.verify(token)


def test_without_any_keys_nothing_is_believed_and_the_issuer_is_not_stormed(issuer, verifier):
    issuer.jwks = lambda _request: web.Response(status=500)
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            verifier.verify(issuer.token())
    assert issuer.asked[PATH] == 1


@pytest.mark.parametrize(
    "reply",
    [
        lambda _request: web.Response(text="<html>log in to the hotel's network</html>"),
        lambda _request: web.json_response({"keys": []}),
        lambda _request: web.json_response({"keys": "none"}),
        lambda _request: web.json_response(["keys"]),
        lambda _request: web.Response(status=302, headers={"location": "/elsewhere"}),
        lambda _request: web.Response(text='{"keys": [1e999]}'),
        lambda _request: web.Response(text="[" * 100_000),
    ],
)
def test_nonsense_instead_of_keys_leaves_the_old_ones(issuer, verifier, timer, reply):
    verifier.verify(issuer.token())
    issuer.jwks = reply
    timer.ahead += 301
    verifier.verify(issuer.token())
    eventually(lambda: issuer.asked[PATH] == 2)
    verifier.verify(issuer.token())


def test_an_endless_answer_is_not_read_to_its_end(issuer, verifier):
    padded = json.dumps({"keys": [issuer.keys[0].jwk]}).encode() + b" " * 17 * 1024 * 1024
    issuer.jwks = lambda _request: web.Response(body=padded)
    with pytest.raises(KeysUnavailableError):
        verifier.verify(issuer.token())


def test_only_public_keys_for_our_algorithms_are_taken(issuer, verifier):
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256", "use": "sig"}
    good = issuer.keys[0].jwk
    others = [
        secret,
        7,
        {"kid": "nothing"},
        good | {"kid": "for-encryption", "use": "enc"},
        good | {"kid": "wrong-algorithm", "alg": "ES256"},
        jwt.algorithms.OKPAlgorithm.to_jwk(issuer.keys[0].private, as_dict=True)
        | {"kid": "private"},
        good | {"kid": "no point", "x": "AAAA"},
        good | {"kid": "short", "x": "AAAA"},
    ]
    issuer.jwks = lambda _request: web.json_response({"keys": [*others, good]})
    verifier.verify(issuer.token())
    assert list(verifier._keys._keys) == ["key-1"]


def test_two_keys_under_one_id_are_no_keys(issuer, verifier):
    twins = [issuer.keys[0].jwk, SigningKey("key-1").jwk]
    issuer.jwks = lambda _request: web.json_response({"keys": twins})
    with pytest.raises(KeysUnavailableError):
        verifier.verify(issuer.token())


def test_a_caller_who_gives_up_takes_the_keys_from_nobody(issuer, verifier):
    token = issuer.token()

    async def one_gives_up():
        impatient = asyncio.ensure_future(verifier.verify_async(token))
        patient = asyncio.ensure_future(verifier.verify_async(token))
        await asyncio.sleep(0)
        impatient.cancel()
        return await patient

    assert asyncio.run(one_gives_up()).session_id
    assert issuer.asked[PATH] == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_asks_for_itself(issuer, make_verifier, feed):
    """As under gunicorn with --preload: threads do not live on in a child."""
    verifier = make_verifier(revocations=feed)
    verifier.verify(issuer.token())
    fresh = issuer.token()
    issuer.keys.append(SigningKey("key-2"))
    asked = issuer.asked["/api/tokens/revocations"]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            verifier.verify(fresh)
            verifier.verify(issuer.token())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert issuer.asked["/api/tokens/revocations"] > asked
