"""Any sequence of writes through the edge leaves in Keto what it would leave in a set."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.parent_edges import MAX_CHAIN
from tests.tuple_stage import Stage, stage_running

NAMES = ("a", "b", "c", "d")
PEOPLE = tuple(str(uuid4()) for _ in range(2))

facts = st.tuples(st.sampled_from(NAMES), st.sampled_from(("owners", "moderators", *NAMES)),
                  st.sampled_from(PEOPLE))  # fmt: skip
operations = st.tuples(st.sampled_from(("insert", "insert", "delete")), facts)
calls = st.lists(st.lists(operations, min_size=1, max_size=6), max_size=6)


@pytest.fixture(scope="module")
def stage(keto, database_url, valkey_url) -> Iterator[Stage]:
    with stage_running(keto, database_url, valkey_url) as running:
        yield running


def normal(fact):
    """Return a fact in its one form: of an edge nobody stands at the other end."""
    name, relation, who = fact
    return (name, relation, "") if relation in NAMES else (name, relation, who)


def told(seed, fact):
    """Return a fact as a tuple; a relation that is a name is an edge to that channel."""
    name, relation, who = fact
    base = {"namespace": "Channel", "object": f"{seed}.{name}"}
    if relation in NAMES:
        inner = {"namespace": "Channel", "object": f"{seed}.{relation}", "relation": ""}
        return {**base, "relation": "within", "subject_set": inner}
    return {**base, "relation": relation, "subject_id": who}


def has_circle(held) -> bool:
    ends = set(NAMES)
    for _ in NAMES:
        ends = {other for name, other, _ in held if name in ends and other in NAMES}
    return bool(ends)


@settings(max_examples=25, deadline=None)
@given(calls=calls)
def test_a_sequence_of_patches_leaves_what_a_set_would(stage, calls):
    assert len(NAMES) - 1 <= MAX_CHAIN, "no chain of these is too long"
    seed, held = uuid4().hex, set()
    for call in calls:
        adding = {normal(fact) for action, fact in call if action == "insert"}
        taking = {normal(fact) for action, fact in call if action == "delete"}
        after = (held | adding) - taking

        answer = stage.patch(*((action, told(seed, fact)) for action, fact in call))

        if adding & taking:
            assert answer.status_code == 400
        elif has_circle(after):
            assert answer.status_code == 409
        else:
            assert answer.status_code == 204
            held = after
    listed = [
        each
        for name in NAMES
        for each in stage.keto.listed(namespace="Channel", object=f"{seed}.{name}")
    ]
    assert sorted(map(str, listed)) == sorted(str(told(seed, fact)) for fact in held)
