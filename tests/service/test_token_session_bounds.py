"""Tokens and the session they hang on: its greatest age, its idle timeout, its use."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import jwt
import psycopg
import pytest
from fastapi.testclient import TestClient

from integration.db import member_sessions
from integration.errors import UnauthenticatedError
from integration.service import make_api
from tests.token_stage import kratos_session, new_member, ring_of, somebody, tokens_of

MINUTE = timedelta(minutes=1)


def with_settings(services, **changes):
    return replace(services, settings=services.settings.model_copy(update=changes))


@pytest.fixture
def short_lived(services):
    """No session gets older than an hour."""
    return with_settings(services, session_max_age=timedelta(hours=1))


@pytest.fixture
def impatient(services):
    """A session that nobody uses for five minutes is over; uses are written two minutes late."""
    return with_settings(services, session_idle_timeout=5 * MINUTE)


def refresh(services, token):
    with TestClient(make_api(services)) as client:
        return client.post("/api/tokens/refresh", json={"refresh_token": token})


def expiry_of(token):
    return jwt.decode(token, options={"verify_signature": False})["exp"]


def row_of(services, session_id):
    with services.transaction() as session:
        return member_sessions.get(session, session_id)


def test_no_token_outlives_the_greatest_age_of_its_session(short_lived, clock):
    ends_at = clock() + timedelta(hours=1)
    who = somebody(short_lived, ring_of(short_lived))
    assert who.tokens.session_expires_at == ends_at

    clock.advance(50 * MINUTE)
    answer = refresh(short_lived, who.tokens.refresh_token).json()

    assert expiry_of(answer["access_token"]) == int(ends_at.timestamp())
    assert answer["expires_in"] <= 600
    assert answer["session"]["expires_at"][:19] == ends_at.isoformat()[:19]


def test_a_session_that_is_too_old_gives_no_tokens(short_lived, clock):
    """Kratos would still accept it, and the sweep has not come by yet."""
    ring = ring_of(short_lived)
    who = somebody(short_lived, ring)
    seen = kratos_session(short_lived, who.identity_id, id=who.session_id)
    clock.advance(timedelta(hours=1))

    with pytest.raises(UnauthenticatedError):
        tokens_of(short_lived, ring, seen)
    assert refresh(short_lived, who.tokens.refresh_token).status_code == 401
    assert row_of(short_lived, who.session_id).ended_at == clock()


def test_no_token_outlives_the_use_of_its_session(impatient, clock):
    who = somebody(impatient, ring_of(impatient))
    assert expiry_of(who.tokens.access_token) == int((clock() + 5 * MINUTE).timestamp())
    clock.advance(3 * MINUTE)
    answer = refresh(impatient, who.tokens.refresh_token).json()
    assert expiry_of(answer["access_token"]) == int((clock() + 5 * MINUTE).timestamp())


def test_a_session_that_was_left_alone_gives_no_tokens(impatient, clock):
    ring = ring_of(impatient)
    who = somebody(impatient, ring)
    seen = kratos_session(impatient, who.identity_id, id=who.session_id)
    clock.advance(7 * MINUTE)

    with pytest.raises(UnauthenticatedError):
        tokens_of(impatient, ring, seen)
    assert refresh(impatient, who.tokens.refresh_token).status_code == 401
    assert row_of(impatient, who.session_id).ended_at == clock()


def test_refreshing_is_use_and_keeps_a_session_from_being_idle(impatient, clock):
    who = somebody(impatient, ring_of(impatient))
    token = who.tokens.refresh_token
    for _ in range(5):
        clock.advance(4 * MINUTE)
        answer = refresh(impatient, token)
        assert answer.status_code == 200
        token = answer.json()["refresh_token"]
    assert row_of(impatient, who.session_id).last_activity_at == clock()


def test_a_use_is_written_once_a_minute(services, clock):
    who = somebody(services, ring_of(services))
    token, counts = who.tokens.refresh_token, []
    for _ in range(4):
        clock.advance(timedelta(seconds=30))
        token = refresh(services, token).json()["refresh_token"]
        counts.append(row_of(services, who.session_id).activity_count)
    assert counts == [counts[0], counts[0] + 1, counts[0] + 1, counts[0] + 2]


def test_a_session_that_ends_while_tokens_are_made_gets_none(services, clock, database_url):
    """The row that was read is not the row that is written to."""
    ring, identity_id = ring_of(services), new_member(services)
    seen = kratos_session(services, identity_id)
    tokens_of(services, ring, seen)
    with ThreadPoolExecutor(1) as pool:
        with services.transaction() as session:
            member_sessions.end(session, seen.id, reason="logout", now=clock())
            session.flush()
            making = pool.submit(tokens_of, services, ring, seen)
            await_waiting(database_url)
        with pytest.raises(UnauthenticatedError):
            making.result()


def await_waiting(database_url):
    """Return once somebody waits for a row that another transaction holds."""
    statement = (
        "select from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(3000):
            if connection.execute(statement).rowcount:
                return
            time.sleep(0.01)
    pytest.fail("nobody waits")
