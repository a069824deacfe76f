"""What Valkey has to be told once it is back: failures, unlocks, and what is still under way.

A failure is told with its age, so that it counts as it would have then; one whose first telling
was not answered may count twice, never not at all. Successes are not told: what they would empty
may have filled from elsewhere.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog

from integration.edge.limits.limiter import Limiter, Reserved
from policies.limits import Verdict
from policies.shares import Share

log = structlog.get_logger()

_MOST = 50_000
_AT_ONCE = 200


class Remote(Limiter, Protocol):
    """A limiter that can be away."""

    async def check(self) -> None: ...

    async def hold(self, reserved: Reserved) -> None: ...

    async def take(self, share: Share, key: bytes, cost: int) -> int: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Settlement:
    at: float
    reserved: Reserved
    verdict: Verdict
    mark: bytes
    account: bytes

    async def tell(self, remote: Remote, now: float) -> None:
        ago = int((now - self.at) * 1000)
        await remote.settle(
            self.reserved, self.verdict, mark=self.mark, account=self.account, ago=ago
        )


@dataclass(frozen=True, slots=True)
class _Unlock:
    at: float
    keys: tuple[bytes, ...]
    passing: bytes
    seconds: int

    async def tell(self, remote: Remote, now: float) -> None:
        left = self.seconds - int(now - self.at)
        if left > 0:
            await remote.unlock(self.keys, self.passing, left)


class Backlog:
    """Collects while Valkey is away. Bounded: of more than 50,000 entries the oldest go."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: deque[_Settlement | _Unlock] = deque()
        self._lost = 0
        # What was let through without Valkey and has not ended; told, once Valkey holds it too.
        self._open: dict[int, Reserved] = {}
        self._told: set[int] = set()

    @property
    def is_empty(self) -> bool:
        """Whether Valkey knows all there is."""
        return not self._entries and len(self._told) == len(self._open)

    def reserved(self, reserved: Reserved) -> None:
        """Note what was let through."""
        self._open[id(reserved)] = reserved

    def settled(self, reserved: Reserved, verdict: Verdict, mark: bytes, account: bytes) -> None:
        """Note how it ended, where that is something Valkey has to know."""
        only_here = self.ended(reserved)
        if verdict is Verdict.COUNTS:
            self._add(_Settlement(self._now(), reserved, verdict, mark, account))
        elif not only_here:
            self._add(_Settlement(self._now(), reserved, Verdict.FREE, b"", b""))

    def ended(self, reserved: Reserved) -> bool:
        """Forget what was under way; return whether Valkey never knew of it."""
        is_told = id(reserved) in self._told
        self._told.discard(id(reserved))
        return self._open.pop(id(reserved), None) is not None and not is_told

    def unlocked(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> None:
        self._add(_Unlock(self._now(), keys, passing, seconds))

    async def tell(self, remote: Remote) -> None:
        """Tell everything, and what is added meanwhile; what was not answered stays.

        Raises:
            OSError, ReplyError: it is away again.
        """
        count = 0
        while not self.is_empty:
            for key, reserved in list(self._open.items()):
                if key not in self._told:
                    await self._hold(key, reserved, remote)
            some = list(islice(self._entries, _AT_ONCE))
            now = self._now()
            # Written one behind the other, so done in this order.
            await asyncio.gather(*(entry.tell(remote, now) for entry in some))
            for entry in some:
                if self._entries and self._entries[0] is entry:
                    self._entries.popleft()
            count += len(some)
        if count or self._lost:
            log.info("limits_caught_up", told=count, lost=self._lost)
        self._lost = 0

    async def _hold(self, key: int, reserved: Reserved, remote: Remote) -> None:
        # Noted first: it may end while Valkey is being told.
        self._told.add(key)
        try:
            await remote.hold(reserved)
        except BaseException:
            self._told.discard(key)
            raise

    def _add(self, entry: _Settlement | _Unlock) -> None:
        self._entries.append(entry)
        if len(self._entries) > _MOST:
            self._entries.popleft()
            self._lost += 1
