"""Every presented refresh token, decided from facts alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.lifecycle import Status
from policies.token_refresh import (
    HELD,
    REUSED,
    Presented,
    Proof,
    RefreshFacts,
    Refuse,
    Replay,
    Rotate,
    decide_refresh,
)
from policies.token_risk import Risk

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
GOOD = RefreshFacts(
    presented=Presented.CURRENT,
    proof=Proof.NOT_NEEDED,
    is_same_client=True,
    is_family_over=False,
    rotated_at=NOW - timedelta(seconds=10),
    expires_at=NOW + timedelta(days=7),
    is_session_over=False,
    session_ends_at=NOW + timedelta(days=7),
    needs_second_factor=False,
    status=Status.ACTIVE,
    risk=Risk.ALLOW,
    now=NOW,
)

some_facts = st.builds(
    RefreshFacts,
    presented=st.sampled_from(Presented),
    proof=st.sampled_from(Proof),
    is_same_client=st.booleans(),
    is_family_over=st.booleans(),
    rotated_at=st.none() | st.integers(0, 200).map(lambda s: NOW - timedelta(seconds=s)),
    expires_at=st.integers(-5, 5).map(lambda s: NOW + timedelta(seconds=s)),
    is_session_over=st.booleans(),
    session_ends_at=st.none() | st.integers(-5, 5).map(lambda s: NOW + timedelta(seconds=s)),
    needs_second_factor=st.booleans(),
    status=st.none() | st.sampled_from(Status),
    risk=st.sampled_from(Risk),
    now=st.just(NOW),
)


def test_the_newest_token_is_rotated_whoever_brings_it():
    assert decide_refresh(GOOD) == Rotate()
    assert decide_refresh(replace(GOOD, is_same_client=False)) == Rotate()


@pytest.mark.parametrize(("seconds", "decision"), [(60, Replay()), (60.001, None)])
def test_the_one_before_gives_its_successor_again_for_a_minute(seconds, decision):
    facts = replace(GOOD, presented=Presented.PREVIOUS, rotated_at=NOW - timedelta(seconds=seconds))
    expected = decision or Refuse(REUSED, ends_session=True, is_theft=True)
    assert decide_refresh(facts) == expected


@given(some_facts)
def test_nothing_is_given_when_anything_speaks_against_it(facts):
    decision = decide_refresh(facts)
    if isinstance(decision, Refuse):
        return
    assert facts.presented in (Presented.CURRENT, Presented.PREVIOUS)
    assert facts.proof is not Proof.WRONG
    assert not facts.is_family_over
    assert not facts.is_session_over
    assert facts.session_ends_at is not None
    assert facts.now < min(facts.session_ends_at, facts.expires_at)
    assert not facts.needs_second_factor
    assert facts.status is Status.ACTIVE
    assert facts.risk is Risk.ALLOW
    if facts.presented is Presented.PREVIOUS:
        assert isinstance(decision, Replay)
        assert facts.is_same_client


@given(some_facts)
def test_a_wrong_proof_changes_nothing(facts):
    decision = decide_refresh(replace(facts, proof=Proof.WRONG))
    assert isinstance(decision, Refuse)
    assert not decision.ends_session


@given(some_facts)
def test_a_used_token_of_a_living_session_always_ends_it(facts):
    facts = replace(
        facts,
        presented=Presented.OLDER,
        proof=Proof.NOT_NEEDED,
        is_family_over=False,
        is_session_over=False,
        session_ends_at=NOW + timedelta(days=1),
    )
    assert decide_refresh(facts) == Refuse(REUSED, ends_session=True, is_theft=True)


def test_a_hold_is_passed_on_and_ends_nothing():
    assert decide_refresh(replace(GOOD, needs_second_factor=True)) == Refuse(HELD)
    assert decide_refresh(replace(GOOD, risk=Risk.STEP_UP)) == Refuse(HELD)
