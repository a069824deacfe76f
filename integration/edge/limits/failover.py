"""Valkey when it answers, the local limiter when it does not: nobody gets in unlimited."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from integration.edge.limits.backlog import Backlog, Remote
from integration.edge.limits.connection import ReplyError
from integration.edge.limits.limiter import Ask, Refused, Reserved, Settled
from integration.edge.limits.local import LocalLimiter
from integration.edge.limits.local_shares import LocalShares
from policies.limits import Verdict
from policies.shares import Share

log = structlog.get_logger()

_CHECK_SECONDS = 0.5
_AWAY = (ReplyError, OSError)

Answer = TypeVar("Answer")


class FailoverLimiter:
    """Asks `remote`, and `local` while that is away. Looks for it again by itself.

    When it is back, it is first told what happened meanwhile; only then it decides again.
    """

    def __init__(self, remote: Remote, local: LocalLimiter) -> None:
        self._remote = remote
        self._local = local
        self._shares = LocalShares()
        self._backlog = Backlog()
        self._watching: asyncio.Task[None] | None = None
        self.is_degraded = False

    async def start(self) -> None:
        """Connect, if Valkey is there, and begin to watch."""
        await self._look()
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._remote.close()

    async def reserve(self, ask: Ask) -> Reserved | Refused:
        answer = await self._asked(self._remote.reserve(ask))
        if answer is None:
            answer = await self._local.reserve(ask)
            if isinstance(answer, Reserved):
                self._backlog.reserved(answer)
        else:
            self._local.follow(answer)
        return answer

    async def settle(
        self,
        reserved: Reserved,
        verdict: Verdict,
        *,
        mark: bytes = b"",
        account: bytes = b"",
        ago: int = 0,
    ) -> Settled:
        """Settle where decisions are made now: no failure is lost when that changed meanwhile."""
        answer = await self._asked(
            self._remote.settle(reserved, verdict, mark=mark, account=account, ago=ago)
        )
        if answer is None:
            self._backlog.settled(reserved, verdict, mark, account)
        else:
            self._backlog.ended(reserved)
        # The local limiter follows, so that whoever failed here gets nothing from a take-over.
        ours = await self._local.settle(reserved, verdict, mark=mark, account=account, ago=ago)
        return ours if answer is None else answer

    async def unlock(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> None:
        await self._local.unlock(keys, passing, seconds)
        if await self._asked(self._unlocked(keys, passing, seconds)) is None:
            self._backlog.unlocked(keys, passing, seconds)

    async def take(self, share: Share, key: bytes, cost: int) -> int:
        """Take from a share; return for how many microseconds to wait instead, or 0.

        What is taken while Valkey is away is not told it later: a share is soon full again.
        """
        wait = await self._asked(self._remote.take(share, key, cost))
        if wait:
            return wait
        # Also after Valkey, so that whoever used up a share gets nothing from a take-over.
        ours = self._shares.take(share, key, cost)
        return ours if wait is None else 0

    async def _unlocked(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> bool:
        await self._remote.unlock(keys, passing, seconds)
        return True

    async def _asked(self, question: Coroutine[Any, Any, Answer]) -> Answer | None:
        if self.is_degraded:
            question.close()
            return None
        try:
            return await question
        except _AWAY as error:
            self._degrade(error)
            return None

    def _degrade(self, error: Exception) -> None:
        if not self.is_degraded:
            self.is_degraded = True
            log.warning("limits_degraded", error=type(error).__name__)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        try:
            await self._remote.check()
            if self.is_degraded:
                await self._backlog.tell(self._remote)
                # Nothing was waited for since the backlog was empty: nothing falls between.
                self.is_degraded = False
                log.info("limits_restored")
        except _AWAY as error:
            self._degrade(error)
