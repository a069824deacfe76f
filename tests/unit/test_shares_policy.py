"""Shares: what is taken comes back evenly, and nobody gets more than the share allows."""

from hypothesis import given
from hypothesis import strategies as st

from policies.shares import Share, take

MINUTE = 60_000_000
SHARE = Share("questions", 100, MINUTE)
NOW = 1_800_000_000_000_000


def test_a_share_is_taken_at_once_and_comes_back_evenly():
    wait, full_at = take(SHARE, 0, NOW, 100)
    assert (wait, full_at) == (0, NOW + MINUTE)
    assert take(SHARE, full_at, NOW, 1) == (SHARE.each, full_at)
    assert take(SHARE, full_at, NOW + SHARE.each, 1)[0] == 0
    assert take(SHARE, full_at, NOW + MINUTE // 2, 51)[0] == SHARE.each
    assert take(SHARE, full_at, NOW + MINUTE // 2, 50)[0] == 0


def test_a_refusal_takes_nothing():
    _, full_at = take(SHARE, 0, NOW, 90)
    wait, after = take(SHARE, full_at, NOW, 11)
    assert (wait > 0, after) == (True, full_at)
    assert take(SHARE, full_at, NOW, 10)[0] == 0


def test_what_costs_more_than_a_share_takes_a_whole_one():
    assert take(SHARE, 0, NOW, 1000) == (0, NOW + MINUTE)
    assert take(SHARE, NOW + 1, NOW, 1000)[0] > 0


@given(
    st.integers(1, 50),
    st.integers(1000, 100_000),
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 60)), max_size=60),
)
def test_in_no_span_is_more_taken_than_a_share_and_what_came_back(most, window, steps):
    share = Share("s", most, window)
    now, full_at, taken = NOW, 0, []
    for pause, cost in steps:
        now += pause
        wait, full_at = take(share, full_at, now, cost)
        if not wait:
            taken.append((now, min(cost, most)))
        else:
            assert take(share, full_at, now + wait, cost)[0] == 0
    for begin, (start, _) in enumerate(taken):
        for end in range(begin, len(taken)):
            spent = sum(cost for _, cost in taken[begin : end + 1])
            assert (spent * share.each) <= share.window + taken[end][0] - start
