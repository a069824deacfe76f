"""When failed work is tried again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.retries import is_exhausted, wait_after

JITTER = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 1), (2, 2), (3, 4), (5, 16), (10, 512), (11, 600), (12, 600), (1_000_000, 600)],
)
def test_waits_double_up_to_ten_minutes(attempts: int, seconds: int) -> None:
    assert wait_after(attempts, jitter=0.5) == timedelta(seconds=seconds)


@given(st.integers(min_value=1, max_value=10_000), JITTER)
def test_jitter_moves_a_wait_by_a_fifth_at_most(attempts: int, jitter: float) -> None:
    middle = wait_after(attempts, 0.5)

    assert middle * 0.8 <= wait_after(attempts, jitter) <= middle * 1.2


@given(st.integers(min_value=1, max_value=10_000), JITTER)
def test_waits_never_shrink(attempts: int, jitter: float) -> None:
    assert wait_after(attempts, jitter) <= wait_after(attempts + 1, jitter)


@pytest.mark.parametrize(("attempts", "jitter"), [(0, 0.5), (-1, 0.5), (1, -0.01), (1, 1.0)])
def test_arguments_out_of_bounds_are_a_mistake(attempts: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"attempt|jitter"):
        wait_after(attempts, jitter)


@pytest.mark.parametrize(("attempts", "over"), [(0, False), (19, False), (20, True), (21, True)])
def test_work_is_given_up_after_the_last_attempt(attempts: int, over: bool) -> None:
    assert is_exhausted(attempts, max_attempts=20) is over
