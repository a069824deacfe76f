"""When work that failed is tried again, and when it is given up."""

from datetime import timedelta

_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(minutes=10)
_SPREAD = 0.2


def wait_after(attempts: int, jitter: float) -> timedelta:
    """Give the wait before the next attempt: doubling from 1 s up to 10 min, 20 % around it.

    Args:
        attempts: How many have failed so far, at least 1.
        jitter: Chance from the caller, at least 0 and below 1. It keeps what failed together
            from coming back together.

    Raises:
        ValueError: An argument is outside its bounds.
    """
    if attempts < 1:
        raise ValueError("there is nothing to wait for before the first attempt")
    if not 0 <= jitter < 1:
        raise ValueError("jitter must be at least 0 and below 1")
    # 2 ** 10 s is above the longest wait already; larger powers would only overflow.
    wait = min(_FIRST_WAIT * (1 << min(attempts - 1, 10)), _LONGEST_WAIT)
    return wait * (1 - _SPREAD + 2 * _SPREAD * jitter)


def is_exhausted(attempts: int, max_attempts: int) -> bool:
    """Tell whether to give up and leave the work to an operator."""
    return attempts >= max_attempts
