"""What the one-call login and registration share: how a flow of Kratos ends in our API."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from integration.api.problems import problem
from integration.ory.flow_messages import FlowComplaint
from integration.ory.own_edge import FlowAnswer


def refused_before(answer: FlowAnswer) -> JSONResponse | None:
    """Return the edge's own refusal, such as a limit; None when it was Kratos that answered."""
    kind = answer.body.get("type")
    if not isinstance(kind, str) or not kind.startswith("urn:kleis:problem:"):
        return None
    shown = {name: value for name, value in answer.body.items() if name != "error"}
    return JSONResponse(shown, answer.status, answer.headers, media_type="application/problem+json")


def invalid(complaints: Iterable[FlowComplaint]) -> JSONResponse:
    """Return what is wrong with which field."""
    errors: list[dict[str, Any]] = [
        {
            "pointer": f"#/{each.field}" if each.field else "#",
            "detail": each.text,
            "code": each.code,
        }
        for each in complaints
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_input",
        "Some of what was sent cannot be used.",
        errors=errors,
    )
