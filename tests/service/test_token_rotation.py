"""The statement of a refresh: it rotates what the policy lets rotate, or less, and nothing else."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import text

from integration.db import token_families
from integration.tokens import holders, refresh_tokens
from integration.tokens import refresh as refreshing
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens
from tests.token_stage import OWNER, bounded_sessions, ring_of, somebody

FAMILY, SESSION, MEMBER = "token_families", "member_sessions", "members"

# What may be the matter with a family, its session and its member; None: as it was made.
AGAINST = {
    "the token is of another generation": (FAMILY, "generation = 3"),
    "the token is another": (FAMILY, "current_hash = sha256('another')"),
    "the family is over": (FAMILY, "ended_at = now()"),
    "the token ran out": (FAMILY, "expires_at = :now"),
    "the family is bound to a key": (FAMILY, "jkt = 'thumbprint'"),
    "another client has it": (FAMILY, "client_hash = sha256('another')"),
    "the session is over": (SESSION, "ended_at = :now"),
    "the session ran out": (SESSION, "expires_at = :now"),
    "the session is too old": (SESSION, "started_at = :now - interval '30 days'"),
    "nobody used the session": (SESSION, "last_activity_at = :now - interval '1 hour 2 minutes'"),
    "the session is held": (SESSION, "hold = 'recovered'"),
    "the member is suspended": (MEMBER, "status = 'suspended'"),
    "the member has a second factor": (MEMBER, "second_factor = true"),
    "the member requires one": (MEMBER, "requires_second_factor = true"),
    "the role requires one": (MEMBER, "role = 'admin'"),
}
HARMLESS = {
    "a second factor was given": (SESSION, "aal = 'aal2'"),
    "the session was used a while ago": (SESSION, "last_activity_at = :now - interval '1 hour'"),
    "the session will end soon": (SESSION, "expires_at = :now + interval '1 second'"),
    "the role requires nothing": (MEMBER, "role = 'creator'"),
}


@pytest.fixture
def bounded(services):
    return bounded_sessions(services, session_activity_period=timedelta(minutes=1))


@pytest.fixture
def ring(bounded):
    return ring_of(bounded)


def change(services, who, what):
    table, to = what
    key, value = (
        ("identity_id", who.identity_id) if table == MEMBER else ("session_id", who.session_id)
    )
    statement = f"update {table} set {to} where {key} = :value"
    with services.transaction() as session:
        bound = {"value": value} | ({"now": services.now()} if ":now" in to else {})
        session.execute(text(statement), bound)


def is_rotated(services, who):
    """Run the statement alone."""
    settings, now = services.settings, services.now()
    token = refresh_tokens.parse(who.tokens.refresh_token)
    following = refresh_tokens.successor(token, secret=settings.secret.get_secret_value())
    rotation = token_families.Rotation(
        family_id=token.family_id,
        generation=following.generation,
        new_hash=following.hash(),
        old_hash=token.hash(),
        client_hash=refresh_tokens.client_hash(OWNER),
        now=now,
        expires_at=now + timedelta(days=7),
        unused_since=now - timedelta(minutes=1),
    )
    _, rotated = token_families.refresh(
        services.statements, rotation, holders.bounds(settings, now)
    )
    return rotated


def family_of(services, who):
    statement = text("select * from token_families where session_id = :id")
    with services.transaction() as session:
        return session.execute(statement, {"id": who.session_id}).one()


@pytest.mark.parametrize("what", [None, *HARMLESS])
def test_what_nothing_speaks_against_is_rotated(bounded, ring, what):
    who = somebody(bounded, ring)
    if what is not None:
        change(bounded, who, HARMLESS[what])
    assert is_rotated(bounded, who)
    assert family_of(bounded, who).generation == 1


@pytest.mark.parametrize("what", AGAINST)
def test_anything_else_is_left_as_it_is(bounded, ring, what):
    who = somebody(bounded, ring)
    change(bounded, who, AGAINST[what])
    before = family_of(bounded, who)
    assert not is_rotated(bounded, who)
    assert family_of(bounded, who) == before


@pytest.mark.parametrize("what", ["the member has a second factor", "the role requires one"])
def test_a_factor_that_was_given_is_enough(bounded, ring, what):
    who = somebody(bounded, ring)
    change(bounded, who, AGAINST[what])
    change(bounded, who, HARMLESS["a second factor was given"])
    assert is_rotated(bounded, who)


def test_a_token_that_was_used_is_not_rotated_again(bounded, ring):
    who = somebody(bounded, ring)
    assert is_rotated(bounded, who)
    assert not is_rotated(bounded, who)
    assert family_of(bounded, who).generation == 1


def test_what_the_statement_rotates_the_policy_lets_rotate(bounded, ring):
    """A refresh fails where they differ. Whoever holds more against one has to tell both."""
    chance = random.Random(7)
    every, given = AGAINST | HARMLESS, 0
    signer = ring.signer()
    for _ in range(300):
        who = somebody(bounded, ring)
        names = chance.sample(sorted(every), k=chance.randint(0, 3))
        for name in names:
            change(bounded, who, every[name])
        token = refresh_tokens.parse(who.tokens.refresh_token)
        made = refreshing.refresh(bounded, signer, token, Client("192.0.2.1", OWNER))
        if set(names) <= set(HARMLESS):
            assert isinstance(made, Tokens), names
        given += isinstance(made, Tokens)
    assert 30 < given < 270
