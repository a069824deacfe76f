"""Refresh tokens: rotated, given again where an answer got lost, and a thief betrayed."""

import itertools
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import jwt
import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, select, text

from integration.db import member_sessions
from integration.db.security_tables import SecurityEvent
from integration.db.statements import Statements
from integration.db.tables import OutboxEffect
from integration.db.token_tables import TokenFamily
from integration.errors import UnauthenticatedError
from integration.members import lifecycle, password_changes, sessions
from integration.service import make_api
from integration.tokens import refresh as refreshing
from integration.tokens import refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.refresh_tokens import RefreshToken
from policies.lifecycle import Actor, Trigger
from policies.token_refresh import Refuse
from tests.token_stage import (
    OWNER,
    THIEF,
    kratos_session,
    new_member,
    ring_of,
    somebody,
    tokens_of,
)


@pytest.fixture
def ring(services):
    return ring_of(services)


@pytest.fixture
def ada(services, ring):
    return somebody(services, ring)


def refresh(api, token, agent=OWNER):
    body = {"refresh_token": token}
    return api.post("/api/tokens/refresh", json=body, headers={"User-Agent": agent})


def next_of(api, token, agent=OWNER):
    answer = refresh(api, token, agent)
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh_token"]


def code_of(answer):
    return answer.json()["type"].removeprefix("urn:kleis:problem:")


def is_over(services, who):
    with services.transaction() as session:
        return member_sessions.get(session, who.session_id).ended_at is not None


def effects_of(services, who, kind):
    with services.transaction() as session:
        statement = select(OutboxEffect).where(
            OutboxEffect.identity_id == who.identity_id, OutboxEffect.kind == kind
        )
        return list(session.scalars(statement))


def events_of(services, who):
    with services.transaction() as session:
        statement = select(SecurityEvent).where(SecurityEvent.identity_id == who.identity_id)
        return list(session.scalars(statement))


def test_a_refresh_gives_new_tokens_of_the_same_session(api, ada):
    answer = refresh(api, ada.tokens.refresh_token)

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["refresh_expires_in"] == 604800
    assert body["refresh_token"] != ada.tokens.refresh_token
    assert body["session"]["id"] == str(ada.session_id)
    said = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert said["sid"] == str(ada.session_id)
    assert said["sub"] == str(ada.identity_id)


def test_a_chain_of_refreshes_goes_on(api, ada):
    token = ada.tokens.refresh_token
    for _ in range(5):
        token = next_of(api, token)
    assert api.get("/api/me", headers=ada.bearer).status_code == 200


def test_the_token_itself_is_not_in_the_database(services, api, ada):
    token = next_of(api, ada.tokens.refresh_token)
    secret = refresh_tokens.parse(token).secret
    with services.transaction() as session:
        row = session.execute(text("select * from token_families")).one()
    assert secret not in [value for value in row if isinstance(value, bytes)]


def test_a_lost_answer_is_given_again_to_the_same_client(api, clock, ada):
    first = next_of(api, ada.tokens.refresh_token)
    clock.advance(timedelta(seconds=59))
    assert next_of(api, ada.tokens.refresh_token) == first
    assert next_of(api, first) != first


def test_after_a_minute_a_lost_answer_is_reuse(services, api, clock, ada):
    next_of(api, ada.tokens.refresh_token)
    clock.advance(timedelta(seconds=61))
    answer = refresh(api, ada.tokens.refresh_token)
    assert (answer.status_code, code_of(answer)) == (401, "refresh_token_reused")
    assert is_over(services, ada)


def test_a_successor_that_was_used_is_not_given_again(services, api, ada):
    first = next_of(api, ada.tokens.refresh_token)
    next_of(api, first)
    answer = refresh(api, ada.tokens.refresh_token)
    assert code_of(answer) == "refresh_token_reused"
    assert is_over(services, ada)


@pytest.mark.parametrize(
    "order", [order for order in itertools.product("OT", repeat=4) if len(set(order)) == 2]
)
def test_a_thief_and_the_owner_are_both_out_and_the_owner_is_told(services, api, ada, order):
    """Whoever comes first and whoever comes next: both hold the same token at the start."""
    agents = {"O": OWNER, "T": THIEF}
    held = dict.fromkeys("OT", ada.tokens.refresh_token)
    for who in order:
        answer = refresh(api, held[who], agents[who])
        if answer.status_code == 200:
            held[who] = answer.json()["refresh_token"]

    assert is_over(services, ada)
    for who, token in held.items():
        assert refresh(api, token, agents[who]).status_code == 401
    assert api.get("/api/me", headers=ada.bearer).status_code == 401
    [mail] = [each for each in effects_of(services, ada, "send_mail") if _is_warning(each)]
    assert mail.payload["facts"]["device"]
    ended = effects_of(services, ada, "end_session")
    assert [each.payload for each in ended] == [{"session_id": str(ada.session_id)}]
    assert [each.kind for each in events_of(services, ada)] == ["refresh_token_reused"]
    published = [each.payload["name"] for each in effects_of(services, ada, "publish_event")]
    assert published.count("session.token_reused") == 1


def _is_warning(effect):
    return effect.payload.get("template") == "session_stolen"


def test_an_expired_token_ends_the_session_and_warns_nobody(services, api, clock, ada):
    with services.transaction() as session:
        row = member_sessions.get(session, ada.session_id)
        row.expires_at += timedelta(days=90)
    clock.advance(timedelta(days=7))
    answer = refresh(api, ada.tokens.refresh_token)
    assert (answer.status_code, code_of(answer)) == (401, "refresh_token_expired")
    assert is_over(services, ada)
    assert not any(_is_warning(each) for each in effects_of(services, ada, "send_mail"))


def test_a_forged_token_of_a_known_family_ends_the_session(services, api, ada):
    known = refresh_tokens.parse(ada.tokens.refresh_token)
    forged = RefreshToken(known.family_id, known.generation, b"x" * 32)
    assert refresh(api, forged.text()).status_code == 401
    assert is_over(services, ada)
    assert refresh(api, ada.tokens.refresh_token).status_code == 401


def test_another_members_token_gives_only_what_is_that_members(services, ring, api, ada):
    eve = somebody(services, ring)
    headers = {**eve.bearer, "User-Agent": OWNER}
    body = {"refresh_token": ada.tokens.refresh_token}
    said = api.post("/api/tokens/refresh", json=body, headers=headers).json()["access_token"]
    claims = jwt.decode(said, options={"verify_signature": False})
    assert claims["sub"] == str(ada.identity_id)


@pytest.mark.parametrize(
    ("trigger", "actor"),
    [
        (Trigger.POLICY_VIOLATION, Actor.MODERATOR),
        (Trigger.SEVERE_VIOLATION, Actor.MODERATOR),
        (Trigger.USER_REQUEST, Actor.MEMBER),
        (Trigger.ADMIN_DELETION, Actor.ADMIN),
    ],
)
def test_who_leaves_the_active_has_no_tokens_any_more(services, api, ada, trigger, actor):
    assert api.get("/api/me", headers=ada.bearer).status_code == 200
    with services.transaction() as session:
        lifecycle.transition(session, ada.identity_id, trigger, actor=actor, now=services.now())
    assert refresh(api, ada.tokens.refresh_token).status_code == 401
    assert api.get("/api/me", headers=ada.bearer).status_code == 401
    assert is_over(services, ada)


def test_after_a_logout_nothing_is_worth_anything(services, api, ada):
    with services.transaction() as session:
        sessions.end(session, ada.identity_id, ada.session_id, reason="logout", now=services.now())
    answer = refresh(api, ada.tokens.refresh_token)
    assert (answer.status_code, code_of(answer)) == (401, "session_ended")
    assert api.get("/api/me", headers=ada.bearer).status_code == 401


def test_a_held_session_waits_for_its_second_factor_and_goes_on_after(services, api, ada):
    with services.transaction() as session:
        row = member_sessions.get(session, ada.session_id)
        row.hold, row.hold_since = "new_country", services.now()
    answer = refresh(api, ada.tokens.refresh_token)
    assert (answer.status_code, code_of(answer)) == (403, "session_aal2_required")
    assert code_of(api.get("/api/me", headers=ada.bearer)) == "session_aal2_required"
    with services.transaction() as session:
        row = member_sessions.get(session, ada.session_id)
        row.hold = row.hold_since = None
    next_of(api, ada.tokens.refresh_token)


def test_a_session_we_had_not_seen_gets_no_tokens_once_it_is_to_end(services, ring, clock):
    """Kratos still calls it valid: that it is over is on its way there."""
    identity_id = new_member(services)
    seen = kratos_session(services, identity_id)
    clock.advance(timedelta(seconds=1))
    with services.transaction() as session:
        password_changes.record(session, identity_id, None, now=services.now())
    with pytest.raises(UnauthenticatedError):
        tokens_of(services, ring, seen)
    clock.advance(timedelta(seconds=1))
    assert tokens_of(services, ring, kratos_session(services, identity_id))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"refresh_token": null}',
        b'{"refresh_token": 1e999999}',
        b'{"refresh_token": ' + b"9" * 10_000 + b"}",
        b'{"refresh_token": "\\ud800"}',
        b'{"refresh_token": "' + b"a" * 100_000 + b'"}',
        b'{"refresh_token": "krt_\\u0000"}',
        b'{"refresh_token": {"$gt": ""}}',
        b"[" * 100_000,
        b'{"refresh_token": NaN}',
        b"\xff\xfe",
        b"refresh_token=x",
    ],
)
def test_a_body_that_is_no_request_is_a_problem_of_the_clients(api, body):
    headers = {"Content-Type": "application/json"}
    for path in (
        "/api/tokens/refresh",
        "/api/tokens/revoke",
        "/api/auth/login",
        "/api/auth/register",
    ):
        answer = api.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_ten_thousand_garbage_tokens_cost_one_lookup_by_primary_key_each(services, ring, ada):
    """Planning looks into indexes too, equally often for either connection."""
    signer, client = ring.signer(), Client("192.0.2.1", OWNER)
    url, seconds = services.settings.database_url.get_secret_value(), timedelta(seconds=5)

    def lookups_for(garbage):
        earlier, alone = lookups_of(services), Statements(url, timeout=seconds, pool_size=1)
        for number in range(garbage):
            token = RefreshToken(uuid4(), number % 7, number.to_bytes(32, "big"))
            made = refreshing.refresh(replace(services, statements=alone), signer, token, client)
            assert made == Refuse("refresh_token_invalid")
        alone.close()
        return lookups_of(services) - earlier

    few, many = lookups_for(10), lookups_for(10_010)
    assert many - few == Counter({"token_families by index": 10_000})


def lookups_of(services):
    """How often each table was read, by an index and as a whole, when everybody has told.

    A server process tells the others when it ends, at the latest.
    """
    services.statements.close()
    services.engine.dispose()
    others = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    told = "select relname, idx_scan, seq_scan from pg_stat_user_tables"
    url, deadline = services.settings.database_url.get_secret_value(), time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(others).fetchone() != (0,):
            assert time.monotonic() < deadline
        found = Counter()
        for name, by_index, whole in connection.execute(told):
            found[f"{name} by index"] += by_index or 0
            found[f"{name} as a whole"] += whole
    return found


def test_what_cannot_be_a_token_costs_no_statement(services, api, ada):
    api.get("/.well-known/jwks.json")
    with statements_of(services) as statements:
        for number in range(50):
            token = ada.tokens.refresh_token
            garbage = (token[:-1] + "!", token[number + 1 :], token + "A", "krt_", "x" * number)
            assert {refresh(api, each).status_code for each in garbage} == {401}
    assert statements == []


@contextmanager
def statements_of(services):
    statements = []

    def note(*args):
        statements.append(args[2])

    event.listen(services.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(services.engine, "before_cursor_execute", note)


def test_a_hundred_refreshes_at_once_give_one_successor(services, api, ada):
    with TestClient(make_api(services)) as other, ThreadPoolExecutor(16) as pool:
        clients = [api, other] * 50
        found = list(pool.map(lambda each: refresh(each, ada.tokens.refresh_token), clients))
    assert {answer.status_code for answer in found} == {200}
    assert len({answer.json()["refresh_token"] for answer in found}) == 1
    with services.transaction() as session:
        assert session.scalar(select(TokenFamily.generation)) == 1


def test_families_of_one_session_end_apart_and_the_session_with_the_last(services, ring, api):
    who = somebody(services, ring)
    seen = kratos_session(services, who.identity_id, id=who.session_id)
    second = tokens_of(services, ring, seen)
    revoke = {"token": who.tokens.refresh_token, "token_type_hint": "refresh_token"}
    assert api.post("/api/tokens/revoke", data=revoke).status_code == 200
    assert refresh(api, who.tokens.refresh_token).status_code == 401
    token = next_of(api, second.refresh_token)
    assert api.post("/api/tokens/revoke", json={"token": token}).json() == {}
    assert refresh(api, token).status_code == 401
    assert is_over(services, who)
    assert api.get("/api/me", headers=who.bearer).status_code == 401


def test_an_access_token_taken_back_ends_its_session(services, api, ada):
    answer = api.post("/api/tokens/revoke", json={"token": ada.tokens.access_token})
    assert answer.status_code == 200
    assert is_over(services, ada)
    assert refresh(api, ada.tokens.refresh_token).status_code == 401


@pytest.mark.parametrize("token", ["x", "krt_", "a.b.c", "kleis_1", "e" * 100_000])
def test_taking_back_what_is_none_is_no_error(api, token):
    assert api.post("/api/tokens/revoke", json={"token": token}).status_code == 200


def test_a_body_without_a_token_is_one(api):
    assert api.post("/api/tokens/revoke", json={}).status_code == 422
    assert json.loads(api.post("/api/tokens/revoke").text)["status"] == 422
