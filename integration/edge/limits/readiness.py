"""What readiness says of the limits: this edge alone knows where its counters live."""

import json

from integration.edge.asgi import Answer


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
