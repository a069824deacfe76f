"""Ory's batch check, which Keto v0.13 has not: single checks, side by side.

Anything but a 200 with a boolean is `allowed: false` with an error: a permission nobody could
check is not held.
"""

import asyncio
from typing import Any

from integration.edge.asgi import Answer
from integration.edge.forwarding import Forwarder
from integration.edge.keto_rules import tuples_of_batch, unknown_verdict, verdict
from integration.edge.problems import RefusedError, json_answer
from integration.edge.requests import Request
from integration.edge.routes import Upstream

# At most Keto's own database pool (16 connections), for all batches together.
_AT_ONCE = 16
_PATH = "/relation-tuples/check/openapi"


class BatchCheck:
    """Answers batches within one deadline each."""

    def __init__(self, forwarder: Forwarder, *, seconds: float) -> None:
        self._forwarder = forwarder
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, request: Request, body: bytes) -> Answer:
        """Return one result for each tuple, in order; equal tuples are asked once.

        Raises:
            RefusedError: the body is not Ory's shape.
        """
        tuples = tuples_of_batch(body)
        distinct = list(dict.fromkeys(tuples))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        results = await asyncio.gather(*(self._check(request, item, deadline) for item in distinct))
        by_tuple = dict(zip(distinct, results, strict=True))
        return json_answer(200, {"results": [by_tuple[item] for item in tuples]})

    async def _check(self, request: Request, item: bytes, deadline: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout_at(deadline), self._slots:
                answer = await self._forwarder.fetch(
                    Upstream.KETO_READ, _PATH, request.query, request, method="POST", body=item
                )
        except (RefusedError, TimeoutError):
            return unknown_verdict()
        return verdict(answer.status, answer.body)
