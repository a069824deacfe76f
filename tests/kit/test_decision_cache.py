"""Remembered decisions: what counts, for how long, and what an invalidation on its way does."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kleis_client.checks import Check, Decision
from kleis_client.decision_cache import SETTLE, DecisionCache

ADA, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
YES = Decision(allowed=True, reason="allowed", epoch="1.0")
NO = Decision(allowed=False, reason="denied", epoch="1.0")


class Timer:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make(size=10, max_age=30.0):
    timer = Timer()
    return DecisionCache(size, max_age, timer), timer


def test_a_decision_is_remembered_until_it_is_too_old():
    cache, timer = make()
    check = Check(ADA, "content.publish")
    cache.put(check, YES, timer.now)
    timer.now += 30
    assert cache.get(check) == YES
    timer.now += 0.1
    assert cache.get(check) is None
    assert len(cache) == 0


def test_an_allow_is_never_remembered_beyond_the_end_that_it_names():
    timer, clock = Timer(), Timer()
    cache = DecisionCache(10, 30.0, timer, clock)
    check = Check(ADA, "content.publish")
    brief = replace(YES, until=datetime.fromtimestamp(clock.now + 5, UTC))
    cache.put(check, brief, timer.now)
    clock.now += 4.9
    assert cache.get(check) == brief
    clock.now += 0.1
    assert cache.get(check) is None
    cache.put(check, brief, timer.now)
    assert cache.get(check) is None


def test_a_subject_is_forgotten_and_others_are_not():
    cache, timer = make()
    cache.put(Check(ADA, "a"), YES, timer.now)
    cache.put(Check(BOB, "a"), NO, timer.now)
    cache.forget(ADA)
    assert cache.get(Check(ADA, "a")) is None
    assert cache.get(Check(BOB, "a")) == NO


def test_an_answer_that_was_on_its_way_when_its_subject_was_forgotten_does_not_count():
    cache, timer = make()
    asked_at = timer.now
    timer.now += 0.5
    cache.forget(ADA)
    cache.put(Check(ADA, "a"), YES, asked_at)
    assert cache.get(Check(ADA, "a")) is None


def test_nothing_is_remembered_until_every_process_of_the_issuer_has_heard():
    cache, timer = make()
    cache.forget(ADA)
    timer.now += SETTLE - 0.1
    cache.put(Check(ADA, "a"), YES, timer.now)
    assert cache.get(Check(ADA, "a")) is None
    timer.now += 0.2
    cache.put(Check(ADA, "a"), YES, timer.now)
    assert cache.get(Check(ADA, "a")) == YES


def test_everything_is_forgotten_at_once():
    cache, timer = make()
    cache.put(Check(ADA, "a"), YES, timer.now)
    cache.forget_all()
    cache.put(Check(BOB, "a"), YES, timer.now)
    assert cache.get(Check(ADA, "a")) is None
    assert cache.get(Check(BOB, "a")) is None


def test_what_nobody_is_sure_of_is_not_remembered():
    cache, timer = make()
    for reason in ("unknown", "settling", "stale", "last_known", "undecided", "something new"):
        cache.put(
            Check(ADA, "a"), Decision(allowed=reason == "last_known", reason=reason), timer.now
        )
        assert cache.get(Check(ADA, "a")) is None


@pytest.mark.parametrize("subject", ["guest", ADA.replace("0", "A"), f"{ADA}\n", f"{{{ADA}}}"])
def test_a_subject_that_nobody_would_call_stale_by_that_name_is_not_remembered(subject):
    cache, timer = make()
    cache.put(Check(subject, "a"), YES, timer.now)
    assert len(cache) == 0


def test_the_decision_that_was_longest_unused_goes_first():
    cache, timer = make(size=2)
    for name in "ab":
        cache.put(Check(ADA, name), YES, timer.now)
    cache.get(Check(ADA, "a"))
    cache.put(Check(ADA, "c"), YES, timer.now)
    assert [cache.get(Check(ADA, name)) is not None for name in "abc"] == [True, False, True]


def test_a_cache_of_nothing_remembers_nothing():
    cache, timer = make(size=0)
    cache.put(Check(ADA, "a"), YES, timer.now)
    assert cache.get(Check(ADA, "a")) is None


def test_a_flood_of_forgotten_subjects_takes_no_more_memory_and_forgets_everything():
    cache, timer = make(size=10)
    cache.put(Check(ADA, "a"), YES, timer.now)
    for number in range(1000):
        cache.forget(f"subject-{number}")
        assert len(cache._stale_until) <= 11
    assert cache.get(Check(ADA, "a")) is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([ADA, BOB])),
        st.tuples(st.just("answer"), st.integers(0, 20)),
        st.tuples(st.just("revoke"), st.sampled_from([ADA, BOB])),
        st.tuples(st.just("forget_all"), st.just("")),
        st.tuples(st.just("let_pass"), st.floats(0.01, 20.0)),
    ),
    max_size=60,
)


class World:
    """A cache, questions on their way to the issuer, and when what was known became wrong."""

    def __init__(self, size):
        self.cache, self.timer = make(size=size)
        self.under_way = []
        self.wrong_before = dict.fromkeys([ADA, BOB], 0.0)

    def ask(self, subject):
        self.under_way.append((subject, self.timer.now))

    def answer(self, number):
        if self.under_way:
            subject, asked_at = self.under_way.pop(number % len(self.under_way))
            decision = Decision(allowed=True, reason="allowed", epoch=str(asked_at))
            self.cache.put(Check(subject, "a"), decision, asked_at)

    def revoke(self, subject):
        self.wrong_before[subject] = self.timer.now
        self.cache.forget(subject)

    def forget_all(self, _):
        self.wrong_before = dict.fromkeys([ADA, BOB], self.timer.now)
        self.cache.forget_all()

    def let_pass(self, seconds):
        self.timer.now += seconds


@given(STEPS, st.integers(1, 3))
def test_no_allow_from_before_a_revoke_counts_after_it(steps, size):
    """However questions, late answers and revokes interleave, with any size of the cache."""
    world = World(size)
    for name, value in steps:
        world.timer.now += 0.001
        getattr(world, name)(value)
        for subject in (ADA, BOB):
            found = world.cache.get(Check(subject, "a"))
            if found is not None:
                assert float(found.epoch) > world.wrong_before[subject]
                assert world.timer.now - float(found.epoch) <= 30.0
