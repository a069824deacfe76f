"""The memory for decisions: true for its epochs, for a while, and within its bound."""

import gc
import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.decisions.decision_cache import DecisionCache, Remembered
from policies.permission_questions import Epochs, Question

NOW = Epochs(3, 5)
YES = True
SUBJECT = "3b1f8a54-6f5e-4c5f-8f60-2c8a3b8f2f10"


def question(name: str = "a", subject: str = SUBJECT) -> Question:
    return Question(subject, "Content", name, "view")


def cache(max_bytes: int = 100_000) -> DecisionCache:
    return DecisionCache(max_bytes=max_bytes, lifetime_seconds=30.0)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_decision_is_found_at_its_epochs(allowed):
    memory = cache()
    memory.put(question(), Remembered(allowed, NOW, 100.0))

    assert memory.get(question(), NOW, 129.9) is allowed


@pytest.mark.parametrize("epochs", [Epochs(2, 5), Epochs(4, 5), Epochs(3, 4), Epochs(3, 6)])
def test_a_decision_of_other_epochs_is_none(epochs):
    memory = cache()
    memory.put(question(), Remembered(YES, NOW, 100.0))

    assert memory.get(question(), epochs, 100.0) is None


def test_a_decision_is_forgotten_after_its_lifetime():
    memory = cache()
    memory.put(question(), Remembered(YES, NOW, 100.0))

    assert memory.get(question(), NOW, 130.0) is None
    assert memory.get(question(), NOW, 139.9, grace=10.0) is True
    assert memory.get(question(), NOW, 140.0, grace=10.0) is None


def test_what_was_not_used_for_longest_goes_first():
    memory = cache(max_bytes=2_500)
    for name in ("0", "1", "2"):
        memory.put(question(name), Remembered(YES, NOW, 0.0))
    memory.get(question("0"), NOW, 1.0)
    memory.put(question("one more"), Remembered(YES, NOW, 0.0))

    assert memory.get(question("0"), NOW, 1.0) is True
    assert memory.get(question("1"), NOW, 1.0) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), max_size=60))
def test_it_only_ever_says_what_was_last_put_and_counts_its_bytes(steps):
    memory, truth = cache(max_bytes=5_000), {}
    for name, epoch, allowed in steps:
        asked, epochs = question(str(name)), Epochs(epoch, 0)
        memory.put(asked, Remembered(allowed, epochs, 0.0))
        truth[asked] = (epochs, allowed)
        assert memory.bytes <= 5_000
        for known, (known_epochs, known_allowed) in truth.items():
            assert memory.get(known, known_epochs, 1.0) in (None, known_allowed)
    assert len(memory) * 560 <= memory.bytes


def test_the_bound_holds_for_what_python_really_takes():
    bound = 8 * 1024 * 1024
    gc.collect()
    tracemalloc.start()
    try:
        memory = cache(max_bytes=bound)
        for number in range(60_000):
            # As they come from a request: every text a new one.
            subject, name = str(UUID(int=number)), f"object-{number:020}"
            memory.put(
                question(name, subject), Remembered(YES, Epochs(number, number), 1.0 * number)
            )
        taken, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken <= bound
    assert peak <= bound * 1.1
    assert taken > bound / 2
