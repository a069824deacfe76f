"""Keto's own answers, to checks that are passed on as they are: asked once it was told all.

Only the tuples of a plain subject end by themselves, so only such a subject is settled first.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from integration.edge.asgi import Answer
from integration.edge.decisions.keto_checks import AT_ONCE, CHECK_PATH
from integration.edge.decisions.ory_reading import DEPTH
from integration.edge.decisions.standing import Standings
from integration.edge.decisions.upstream import DecisionUpstream
from integration.edge.exchange import Exchange
from integration.edge.fair_slots import FairSlots
from integration.edge.problems import RefusedError
from integration.edge.tuples.keto_rules import unknown_verdict, verdict
from integration.settings import Settings
from policies.ory_checks import OryCheck

_JSON = [(b"content-type", b"application/json; charset=utf-8")]


class SettledKeto:
    """Settles, and asks."""

    def __init__(
        self,
        settings: Settings,
        exchange: Exchange,
        *,
        upstream: DecisionUpstream,
        standings: Standings,
    ) -> None:
        self._exchange = exchange
        self._upstream = upstream
        self._standings = standings
        self._seconds = settings.decision_timeout.total_seconds()
        self._slots = FairSlots(AT_ONCE)

    async def ask(self, check: OryCheck, path: str) -> Answer | None:
        """Return Keto's answer; None when Keto could not be told in time what is true.

        Raises:
            RefusedError: Keto or the database does not answer.
        """
        if not await self._settles(check):
            return None
        return self._exchange.judged(await self._answer(check, path))

    async def ask_all(
        self, checks: Sequence[OryCheck], *, seconds: float, share: str
    ) -> list[dict[str, Any]]:
        """Return Ory's batch result for each check; equal ones are asked once.

        Args:
            share: In whose name this takes turns with others.
        """
        bodies = [json.dumps(check.members, sort_keys=True) for check in checks]
        distinct = dict(zip(bodies, checks, strict=True))
        deadline = asyncio.get_running_loop().time() + seconds
        results = await asyncio.gather(
            *(self._one_of_batch(check, deadline, share) for check in distinct.values())
        )
        by_body = dict(zip(distinct, results, strict=True))
        return [by_body[body] for body in bodies]

    async def _one_of_batch(self, check: OryCheck, deadline: float, share: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout_at(deadline), self._slots.held(share):
                if not await self._settles(check):
                    return unknown_verdict()
                answer = await self._answer(check, CHECK_PATH)
        except (RefusedError, TimeoutError):
            return unknown_verdict()
        return verdict(answer.status, answer.body)

    async def _answer(self, check: OryCheck, path: str) -> Answer:
        query = "" if check.max_depth is None else f"{DEPTH}={check.max_depth}"
        body = json.dumps(check.members).encode()
        status, answer = await self._upstream.ask_keto(path, query=query, body=body)
        return Answer(status, _JSON, answer)

    async def _settles(self, check: OryCheck) -> bool:
        if check.subject_id is None:
            return True
        try:
            async with asyncio.timeout(self._seconds):
                return await self._standings.settle(check.subject_id)
        except TimeoutError:
            return False
