"""The statement that begins a family: for whom the policies let in, and for nobody else."""

import random

import pytest
from sqlalchemy import text

from integration.errors import (
    ForbiddenError,
    SecondFactorNeededError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from tests.token_stage import bounded_sessions, kratos_session, new_member, ring_of, tokens_of

SESSION = "update member_sessions set {} where session_id = :session"
MEMBER = "update members set {} where identity_id = :member"

# What may be the matter with a session and its member, and what is said then.
AGAINST = {
    "the session is over": (SESSION.format("ended_at = :now"), UnauthenticatedError),
    "the session ran out": (SESSION.format("expires_at = :now"), UnauthenticatedError),
    "it is too old": (
        SESSION.format("started_at = :now - interval '30 days'"),
        UnauthenticatedError,
    ),
    "nobody used it": (
        SESSION.format("last_activity_at = :now - interval '62 minutes'"),
        UnauthenticatedError,
    ),
    "it is held": (SESSION.format("hold = 'recovered'"), SecondFactorNeededError),
    "the member has a second factor": (
        MEMBER.format("second_factor = true"),
        SecondFactorNeededError,
    ),
    "the member requires one": (
        MEMBER.format("requires_second_factor = true"),
        SecondFactorNeededError,
    ),
    "the role requires one": (MEMBER.format("role = 'admin'"), SecondFactorNeededError),
    "the member is suspended": (MEMBER.format("status = 'suspended'"), ForbiddenError),
    "the member is half set up": (
        "delete from profiles where identity_id = :member",
        UpstreamUnavailableError,
    ),
}
HARMLESS = {
    "it was used a while ago": SESSION.format("last_activity_at = :now - interval '1 hour'"),
    "it will end soon": SESSION.format("expires_at = :now + interval '1 second'"),
    "the role requires nothing": MEMBER.format("role = 'creator'"),
    # Kratos knows better: what it shows takes its place.
    "our row says too much": SESSION.format("aal = 'aal2'"),
}


@pytest.fixture
def bounded(services):
    return bounded_sessions(services)


@pytest.fixture
def ring(bounded):
    return ring_of(bounded)


def known_session(services, ring):
    """Return a session that has one family already."""
    seen = kratos_session(services, new_member(services))
    tokens_of(services, ring, seen)
    return seen


def change(services, seen, statement):
    values = {"session": seen.id, "member": seen.identity.id, "now": services.now()}
    with services.transaction() as session:
        bound = {name: value for name, value in values.items() if f":{name}" in statement}
        session.execute(text(statement), bound)


def families(services, seen):
    statement = text("select count(*) from token_families where session_id = :session")
    with services.transaction() as session:
        return session.execute(statement, {"session": seen.id}).scalar_one()


@pytest.mark.parametrize("what", HARMLESS)
def test_what_nothing_speaks_against_begins(bounded, ring, what):
    seen = known_session(bounded, ring)
    change(bounded, seen, HARMLESS[what])
    tokens_of(bounded, ring, seen)
    assert families(bounded, seen) == 2


@pytest.mark.parametrize("what", AGAINST)
def test_for_anything_else_there_is_no_family(bounded, ring, what):
    seen = known_session(bounded, ring)
    statement, refusal = AGAINST[what]
    change(bounded, seen, statement)
    with pytest.raises(refusal):
        tokens_of(bounded, ring, seen)
    assert families(bounded, seen) == 1


def test_whose_member_is_nobody_begins_nothing(bounded, ring):
    gone = kratos_session(bounded, new_member(bounded))
    change(bounded, gone, "delete from members where identity_id = :member")
    with pytest.raises(ForbiddenError):
        tokens_of(bounded, ring, gone)
    assert families(bounded, gone) == 0


def test_a_session_of_somebody_else_begins_nothing(bounded, ring):
    """Kratos never shows one; a session that is known as another member's is no new one either."""
    seen = known_session(bounded, ring)
    other = kratos_session(bounded, new_member(bounded)).identity
    with pytest.raises(UnauthenticatedError):
        tokens_of(bounded, ring, seen.model_copy(update={"identity": other}))
    assert families(bounded, seen) == 1


def test_the_second_factor_that_kratos_shows_counts_at_once(bounded, ring):
    seen = known_session(bounded, ring)
    change(bounded, seen, MEMBER.format("second_factor = true"))
    shown = seen.model_copy(update={"authenticator_assurance_level": "aal2"})
    tokens_of(bounded, ring, shown)
    assert families(bounded, seen) == 2


def test_statement_and_policies_agree(bounded, ring):
    """Where they differ nobody gets tokens. Whoever holds more against one has to tell both."""
    chance = random.Random(7)
    statements = {name: each for name, (each, _) in AGAINST.items()} | HARMLESS
    begun = 0
    for _ in range(200):
        seen = known_session(bounded, ring)
        names = chance.sample(sorted(statements), k=chance.randint(0, 3))
        for name in names:
            change(bounded, seen, statements[name])
        refusals = tuple({refusal for name, (_, refusal) in AGAINST.items() if name in names})
        if refusals:
            with pytest.raises(refusals):
                tokens_of(bounded, ring, seen)
        else:
            tokens_of(bounded, ring, seen)
            begun += 1
        assert families(bounded, seen) == 1 + (not refusals)
    assert 20 < begun < 180
