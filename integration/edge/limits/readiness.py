"""What readiness says of the limits: this edge alone knows where its counters live."""

import json

from integration.edge.asgi import Answer
from integration.edge.exchange import Exchange
from integration.edge.limits.failover import FailoverLimiter
from integration.edge.requests import Request
from integration.edge.routes import Route


class Readiness:
    """Answers `/health/ready`: the service's word, and our own."""

    def __init__(self, exchange: Exchange, limiter: FailoverLimiter) -> None:
        self._exchange = exchange
        self._limiter = limiter

    async def answer(self, request: Request, route: Route) -> Answer:
        answer = await self._exchange.ask(request, route)
        return with_limits(answer, is_degraded=self._limiter.is_degraded)


def with_limits(answer: Answer, *, is_degraded: bool) -> Answer:
    """Return the service's answer; with `limits` among what is degraded when they are local."""
    if not is_degraded or answer.status != 200:
        return answer
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer
    if not isinstance(body, dict):
        return answer
    body["degraded"] = sorted({*(body.get("degraded") or ()), "limits"})
    return Answer(answer.status, answer.headers, json.dumps(body).encode())
