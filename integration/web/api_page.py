"""Our API in words, drawn on the server from its own description: no script, nothing from afar."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from integration.web.page_route import PageRoute
from integration.web.rendering import page

router = APIRouter(route_class=PageRoute)

_METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the API does; `description` has one text a paragraph."""

    method: str
    path: str
    description: tuple[str, ...]


@router.get("/api/docs")
def show_api(request: Request) -> Response:
    """List what the API offers."""
    return page(
        "api.html",
        title="The API",
        document_path=request.app.openapi_url,
        operations=operations(request.app.openapi()),
    )


def operations(document: dict[str, Any]) -> tuple[Operation, ...]:
    """Return the operations of an OpenAPI 3 document, by path."""
    return tuple(
        Operation(method.upper(), path, _paragraphs(item[method].get("description", "")))
        for path, item in sorted(document["paths"].items())
        for method in _METHODS
        if method in item
    )


def _paragraphs(description: str) -> tuple[str, ...]:
    """Undo the line breaks and the code marks of a docstring."""
    parts = description.replace("`", "").split("\n\n")
    return tuple(" ".join(part.split()) for part in parts if part.strip())
