"""How much a member may ask by itself. Applications ask with keys, whose batches take turns."""

from typing import Protocol
from uuid import UUID

import structlog

from integration.edge.decisions.askers import Asker
from integration.edge.limits.refusals import share_refusal
from integration.edge.problems import RefusedError
from integration.limits import counters, rules
from integration.limits.counters import Counters
from policies.shares import Share

log = structlog.get_logger()

EXPLANATION = 30
"""So many questions one explanation counts as: it reads the tuples of every object on its way."""


class Shares(Protocol):
    """Where shares are kept."""

    async def take(self, share: Share, key: bytes, cost: int) -> int:
        """Take from a share; return for how many microseconds to wait instead, or 0."""


class Allowance:
    """Counts what members ask of Keto, over all edges."""

    def __init__(self, shares: Shares, share: Share, names: Counters) -> None:
        self._shares = shares
        self._share = share
        self._names = names

    async def spend(self, asker: Asker, questions: int) -> None:
        """Take so many questions out of a member's share.

        Raises:
            RefusedError: 429; nothing was taken.
        """
        if asker.subject is None or not questions:
            return
        account = self._names.account(UUID(asker.subject), "") or b""
        key = counters.of_account(rules.QUESTIONS, account)
        wait = await self._shares.take(self._share, key, questions)
        if wait:
            log.info("limited", rule=self._share.name)
            raise RefusedError(share_refusal(self._share, wait))
