"""The checker of histories finds what it is there to find, and nothing else."""

import pytest

from tests.decision_history import Allowed, Change, stale

GIVE = Change(gives=True, edge=0, sent_at=0.0, acknowledged_at=0.1)
TAKE = Change(gives=False, edge=0, sent_at=5.0, acknowledged_at=5.2)
AGAIN = Change(gives=True, edge=0, sent_at=9.0, acknowledged_at=9.1)


def allowed(asked_at: float, *, edge: int = 0, fresh: bool = False, took: float = 0.01) -> Allowed:
    return Allowed("target", edge, fresh, asked_at, asked_at + took)


@pytest.mark.parametrize(
    ("answer", "is_stale"),
    [
        (allowed(1.0), False),
        (allowed(5.1), False),
        (allowed(5.1, took=3.0), False),
        (allowed(5.2), True),
        (allowed(8.0), True),
        (allowed(5.3, edge=1), False),
        (allowed(6.1, edge=1), False),
        (allowed(6.2, edge=1), True),
        (allowed(5.3, edge=1, fresh=True), True),
        (allowed(8.5, took=1.0), False),
        (allowed(9.2), False),
    ],
)
def test_an_answer_is_stale_from_when_it_was_to_be_known_until_it_is_given_again(answer, is_stale):
    found = stale([answer], {"target": [GIVE, TAKE, AGAIN]})

    assert bool(found) is is_stale


def test_what_nobody_acknowledged_is_not_in_force():
    lost = Change(gives=False, edge=0, sent_at=5.0, acknowledged_at=float("inf"))

    assert stale([allowed(100.0)], {"target": [GIVE, lost]}) == []


def test_what_happened_to_others_does_not_count():
    assert stale([allowed(8.0)], {"another": [GIVE, TAKE]}) == []
