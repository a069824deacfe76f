"""Shares in this process: what stands in while Valkey is away."""

import time
from collections.abc import Callable
from itertools import islice

from policies import shares
from policies.shares import Share

_LOOKED_AT = 64


class LocalShares:
    """The same shares as in Valkey, for one edge process and a bounded number of people."""

    def __init__(
        self,
        *,
        most_records: int = 100_000,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._most = most_records
        self._now = now
        self._full_at: dict[bytes, int] = {}

    def take(self, share: Share, key: bytes, cost: int) -> int:
        """Take from a share; return for how many microseconds to wait instead, or 0."""
        now = self._now()
        wait, full_at = shares.take(share, self._full_at.pop(key, 0), now, cost)
        # Whoever took last stands last, so that those at the beginning are full the soonest.
        self._full_at[key] = full_at
        if len(self._full_at) > self._most:
            for each in list(islice(self._full_at, _LOOKED_AT)):
                del self._full_at[each]
        return wait
