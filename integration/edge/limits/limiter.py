"""What a limiter promises, wherever its counters live."""

from dataclasses import dataclass
from typing import Protocol

from policies.limits import Verdict


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish to try something.

    Attributes:
        keys: Counters that must all have room. The first remembers what was typed.
        passing: Where this key exists, `instead` count in place of `keys`.
    """

    keys: tuple[bytes, ...]
    passing: bytes | None = None
    instead: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserved:
    """Room for one attempt, to be settled once.

    Attributes:
        keys: The counters it was taken from.
        lease_end: In ms of the limiter's clock; then it is given back by itself.
    """

    keys: tuple[bytes, ...]
    lease_end: int


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no room.

    Attributes:
        key: The counter that makes it wait longest.
        wait: In ms.
    """

    key: bytes
    wait: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling changed.

    Attributes:
        blocks: Counters that are blocked from now on, with the ms.
        is_repeated: The same had been typed before: nothing was counted.
        is_alarm: So many accounts failed lately that it looks like stuffing; true once an hour.
    """

    blocks: tuple[tuple[bytes, int], ...] = ()
    is_repeated: bool = False
    is_alarm: bool = False


NOTHING_CHANGED = Settled()


class Limiter(Protocol):
    """Decides at once and exactly, also when many ask together."""

    async def reserve(self, ask: Ask) -> Reserved | Refused:
        """Take room for one attempt, or say how long to wait."""

    async def settle(
        self,
        reserved: Reserved,
        verdict: Verdict,
        *,
        mark: bytes = b"",
        account: bytes = b"",
        ago: int = 0,
    ) -> Settled:
        """Say how an attempt ended.

        Args:
            mark: What was typed, as a keyed hash; empty: nothing to compare.
            account: Whose it was, for the alarm; empty: nobody's.
            ago: How many ms ago it ended, where that is told late.
        """

    async def unlock(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> None:
        """Empty counters, and let `passing` exist for a while."""
