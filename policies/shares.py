"""How much somebody may ask for in a while: a share that is used up by what it costs, and fills
again evenly.

One number says it all: the moment at which the share is full again (the generic cell rate
algorithm). `integration/edge/limits/share.lua` says the same inside Valkey, and a test holds the
two together. All times are whole microseconds; the caller brings the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """`most` (1 or more) at once, and as many again within each `window`.

    Attributes:
        name: Stable, for headers and logs.
        window: Microseconds.
    """

    name: str
    most: int
    window: int

    @property
    def each(self) -> int:
        """How long one takes to come back."""
        return self.window // self.most


def take(share: Share, full_at: int, now: int, cost: int) -> tuple[int, int]:
    """Take `cost` out of a share, all or nothing.

    Args:
        full_at: When it is full again; in the past: it is.
        cost: More than `most` is as much as `most`: a whole share pays for anything.

    Returns:
        How long to wait, 0 when it was taken, and the new `full_at`.
    """
    full = max(full_at, now) + min(cost, share.most) * share.each
    wait = full - now - share.window
    return (wait, full_at) if wait > 0 else (0, full)
