"""The refusal of a recovery, shown: Kratos hides it behind an error of its own.

When our hook says no to somebody with the right code, Kratos (v1.3.1, configured to go on with
`continue_with`) answers scripts and native clients with a 500 that names a new flow; our sentence
stands in that one. Forms are sent there, and see it.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcomes import error_messages
from integration.edge.flows.submit_outcomes import as_uuid
from integration.edge.forwarding import Forwarder
from integration.edge.problems import RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.upstream_errors import error_of


async def shown(forwarder: Forwarder, submit: Submit, answer: Answer) -> Answer:
    """Return the answer to a recovery; a refusal as every other flow shows it: 400, the flow."""
    if submit.flow != "recovery" or answer.status < 500:
        return answer
    flow_id = _next_flow(answer.body)
    if flow_id is None:
        return answer
    path, query = "/self-service/recovery/flows", f"id={flow_id}"
    request = _with_new_cookies(submit.request, answer)
    try:
        flow = await forwarder.fetch(Upstream.KRATOS_PUBLIC, path, query, request)
    except RefusedError:
        return answer
    if flow.status != 200 or not error_messages(flow.body):
        return answer
    return Answer(400, answer.headers, flow.body)


def _with_new_cookies(request: Request, answer: Answer) -> Request:
    """Return the request with the answer's cookies: the new flow has its own CSRF token."""
    pairs = [value for name, value in request.headers if name == b"cookie"]
    pairs += [value.partition(b";")[0] for name, value in answer.headers if name == b"set-cookie"]
    if not pairs:
        return request
    named = {pair.strip().partition(b"=")[0]: pair.strip() for pair in b";".join(pairs).split(b";")}
    others = [field for field in request.headers if field[0] != b"cookie"]
    return replace(request, headers=[*others, (b"cookie", b"; ".join(named.values()))])


def _next_flow(body: bytes) -> UUID | None:
    details: Any = (error_of(body) or {}).get("details")
    steps = details.get("continue_with") if isinstance(details, dict) else None
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("action") == "show_recovery_ui":
            flow = step.get("flow")
            return as_uuid(flow.get("id")) if isinstance(flow, dict) else None
    return None
