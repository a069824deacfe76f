"""Asking for permissions: the answer is no unless the issuer says yes, now or just before."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from kleis_client import Check, PermissionClient
from kleis_client.decision_cache import SETTLE
from tests.kit.conftest import eventually
from tests.kit.issuer_double import API_KEY

CHECK = "/api/permissions/check"
BATCH = "/api/permissions/batch-check"
ADA = str(uuid.uuid4())
BOB = str(uuid.uuid4())
YES = {"allowed": True, "reason": "allowed", "epoch": "1.0"}


@pytest.fixture
def make_client(issuer, timer):
    made = []

    def make(**settings):
        settings = {"wait": 0.5, "timer": timer, "timeout": 5.0} | settings
        made.append(PermissionClient(issuer.url, settings.pop("api_key", API_KEY), **settings))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client, issuer, timer):
    """A client that listens, some time after it began to."""
    # A poll may last longer than the leap of the timer: that is no silence.
    client = make_client(wait=5)
    eventually(lambda: client._feed.is_heard)
    timer.ahead += SETTLE + 0.1
    assert client._feed.is_heard
    return client


def test_the_issuer_decides(issuer, client):
    issuer.allowed.add((ADA, "content.publish", None))
    issuer.allowed.add((ADA, "edit", "Content:42"))
    assert client.check(ADA, "content.publish").allowed
    assert client.check(ADA, "edit", "Content:42").reason == "allowed"
    assert not client.check(ADA, "edit", "Content:43")
    assert client.check(BOB, "edit", "Content:42").reason == "denied"
    assert issuer.bodies == [
        {"subject": ADA, "permission": "content.publish"},
        {"subject": ADA, "action": "edit", "resource": "Content:42"},
        {"subject": ADA, "action": "edit", "resource": "Content:43"},
        {"subject": BOB, "action": "edit", "resource": "Content:42"},
    ]


def test_an_event_loop_asks_too(issuer, client):
    issuer.allowed.add((ADA, "content.publish", None))
    assert asyncio.run(client.check_async(ADA, "content.publish")).allowed
    assert asyncio.run(client.check_async(ADA, "content.publish")).allowed
    assert issuer.asked[CHECK] == 1


@pytest.mark.parametrize("allowed", [True, False])
def test_the_same_question_is_asked_once(issuer, client, allowed):
    if allowed:
        issuer.allowed.add((ADA, "content.publish", None))
    assert client.check(ADA, "content.publish").allowed is allowed
    assert client.check(ADA, "content.publish").allowed is allowed
    assert issuer.asked[CHECK] == 1


def test_a_fresh_answer_and_one_of_an_epoch_are_asked_for(issuer, client):
    client.check(ADA, "content.publish")
    client.check(ADA, "content.publish", fresh=True)
    client.check(ADA, "content.publish", at_least="7.0")
    assert [body.get("fresh") for body in issuer.bodies] == [None, True, None]
    assert [body.get("at_least") for body in issuer.bodies] == [None, None, "7.0"]


def test_a_revoke_is_heard_and_the_remembered_allow_is_gone(issuer, client):
    issuer.allowed.add((ADA, "content.publish", None))
    issuer.allowed.add((BOB, "content.publish", None))
    assert client.check(ADA, "content.publish").allowed
    assert client.check(BOB, "content.publish").allowed
    issuer.allowed.remove((ADA, "content.publish", None))
    issuer.tell(ADA)
    eventually(lambda: not client.check(ADA, "content.publish").allowed)
    asked = issuer.asked[CHECK]
    assert client.check(BOB, "content.publish").allowed
    assert issuer.asked[CHECK] == asked


@pytest.mark.parametrize("news", [{"edges": True}, {"reset": True}])
def test_a_change_of_objects_and_a_lost_cursor_make_everything_stale(issuer, client, news):
    issuer.allowed.add((ADA, "edit", "Content:42"))
    assert client.check(ADA, "edit", "Content:42").allowed
    issuer.allowed.clear()
    issuer.tell(**news)
    eventually(lambda: not client.check(ADA, "edit", "Content:42").allowed)


def test_nothing_remembered_counts_while_the_issuer_is_not_heard(issuer, client):
    issuer.allowed.add((ADA, "content.publish", None))
    assert client.check(ADA, "content.publish").allowed
    issuer.stop()
    eventually(lambda: client._feed._poll.failing)
    decision = client.check(ADA, "content.publish")
    assert (decision.allowed, decision.reason) == (False, "undecided")
    assert not decision.is_decided
    issuer.allowed.clear()
    issuer.start()
    assert not client.check(ADA, "content.publish").allowed


def test_a_silence_longer_than_a_poll_is_noticed_without_any_error(issuer, client, timer):
    issuer.allowed.add((ADA, "content.publish", None))
    client.check(ADA, "content.publish")
    client._feed._poll.close()
    client.check(ADA, "content.publish")
    assert issuer.asked[CHECK] == 2


def test_a_feed_that_is_refused_leaves_every_question_to_the_issuer(issuer, make_client):
    client = make_client(api_key="kleis_wrong")
    decision = client.check(ADA, "content.publish")
    assert not decision.allowed
    assert not decision.is_decided
    eventually(lambda: client._feed._poll.failing)
    assert not client._feed.is_heard


@pytest.mark.parametrize(
    "reply",
    [
        lambda _: web.Response(status=500, text="oops"),
        lambda _: web.json_response({"allowed": True, "reason": "allowed"}, status=503),
        lambda _: web.json_response({"allowed": True, "reason": "allowed"}, status=404),
        lambda _: web.json_response({"allowed": "true", "reason": "allowed", "epoch": "1"}),
        lambda _: web.json_response({"allowed": 1, "reason": "allowed", "epoch": "1"}),
        lambda _: web.json_response(YES | {"until": "tomorrow"}),
        lambda _: web.json_response(YES | {"until": "2026-11-25T18:00:00"}),
        lambda _: web.json_response(YES | {"until": 1764093600}),
        lambda _: web.json_response({"allowed": True}),
        lambda _: web.json_response([True]),
        lambda _: web.Response(text="true"),
        lambda _: web.Response(
            text='{"allowed": false, "allowed": true, "reason": "", "epoch": ""}'
        ),
        lambda _: web.Response(status=302, headers={"location": "/elsewhere"}),
        lambda _: web.json_response({"type": "urn:kleis:problem:limited"}, status=429),
        lambda _: web.json_response({"type": "urn:kleis:problem:forbidden"}, status=403),
        lambda _: web.json_response({"results": [{"allowed": True}]}),
        lambda _: web.json_response({"results": []}),
        lambda _: web.json_response({"results": "all of them"}),
    ],
)
def test_anything_but_a_decision_is_a_denial_that_is_not_remembered(issuer, client, reply):
    issuer.check_reply = reply
    for _ in range(2):
        assert not client.check(ADA, "content.publish").allowed
    assert issuer.asked[CHECK] == 2
    assert [one.allowed for one in client.check_all([Check(ADA, "content.publish")])] == [False]


def test_an_allow_is_asked_for_again_when_its_grant_is_over(issuer, client):
    def ending(seconds: float):
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return lambda _: web.json_response(YES | {"until": until.isoformat()})

    issuer.check_reply = ending(3600)
    assert client.check(ADA, "content.publish").until > datetime.now(UTC)
    assert client.check(ADA, "content.publish").allowed
    assert issuer.asked[CHECK] == 1
    issuer.check_reply = ending(-0.001)
    assert client.check(BOB, "content.publish").allowed
    assert client.check(BOB, "content.publish").allowed
    assert issuer.asked[CHECK] == 3


def test_a_stranger_is_denied_for_sure(issuer, client):
    problem = {"type": "urn:kleis:problem:subject_unknown"}
    issuer.check_reply = lambda _: web.json_response(problem, status=404)
    decision = client.check(ADA, "content.publish")
    assert (decision.allowed, decision.reason) == (False, "subject_unknown")
    assert decision.is_decided
    # A Kleis that lacks the address, or something else in its place, is no reason to be sure.
    issuer.check_reply = lambda _: web.json_response(
        {"type": "urn:kleis:problem:not_found"}, status=404
    )
    assert not client.check(BOB, "content.publish").is_decided


@pytest.mark.parametrize("reason", ["unknown", "settling", "stale"])
def test_a_doubt_of_the_issuer_is_not_taken_for_a_decision(issuer, client, reason):
    body = {"allowed": False, "reason": reason, "epoch": "1.0"}
    issuer.check_reply = lambda _: web.json_response(body)
    assert not client.check(ADA, "content.publish").is_decided
    issuer.check_reply = None
    issuer.allowed.add((ADA, "content.publish", None))
    assert client.check(ADA, "content.publish").allowed


def test_a_late_answer_is_a_denial(issuer, make_client):
    client = make_client(timeout=0.2)
    issuer.allowed.add((ADA, "content.publish", None))
    issuer.check_delay = 60
    began = time.monotonic()
    assert not client.check(ADA, "content.publish").is_decided
    assert not asyncio.run(client.check_async(ADA, "content.publish")).is_decided
    assert time.monotonic() - began < 30


def test_a_batch_asks_each_question_once_and_remembers(issuer, client):
    issuer.allowed |= {(ADA, "view", f"Content:{number}") for number in range(0, 1500, 2)}
    checks = [Check(ADA, "view", f"Content:{number}") for number in range(1500)]
    decisions = client.check_all([*checks, *checks])
    assert [decision.allowed for decision in decisions] == [True, False] * 1500
    assert issuer.asked[BATCH] == 2
    assert len(client.check_all(checks)) == 1500
    assert client.check(ADA, "view", "Content:0").allowed
    assert (issuer.asked[BATCH], issuer.asked[CHECK]) == (2, 0)


def test_one_bad_question_of_a_batch_is_denied_alone(issuer, client):
    issuer.allowed.add((ADA, "view", "Content:1"))
    checks = [Check(ADA, "view", "Content:broken"), Check(ADA, "view", "Content:1")]
    bad, good = asyncio.run(client.check_all_async(checks))
    assert (bad.allowed, bad.reason) == (False, "invalid")
    assert good.allowed


def test_nothing_to_ask_is_not_asked(issuer, client):
    assert client.check_all([]) == []
    assert issuer.asked[BATCH] == 0


def test_the_api_key_is_sent_to_the_issuer_alone(issuer, make_client):
    issuer.check_reply = lambda _: web.Response(
        status=307, headers={"location": "http://127.0.0.1:1/caught"}
    )
    assert not make_client().check(ADA, "content.publish").allowed
    assert issuer.asked[CHECK] == 1
