"""Errors as pages: people get a sentence and a way on, never a problem document."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from integration.errors import BusyError, KleisError, NotFoundError, UpstreamUnavailableError
from integration.web.rendering import page

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = "5"


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_with_page(request: Request) -> Response:
            try:
                return await answer(request)
            except KleisError as error:
                _log.warning("page_failed", code=error.code, detail=error.detail)
                return _page_of(error)
            except SQLAlchemyError as error:
                _log.warning("page_failed", code="database", detail=type(error).__name__)
                return _unavailable()

        return answer_with_page


def _page_of(error: KleisError) -> Response:
    if isinstance(error, NotFoundError):
        return page(
            "notice.html",
            title="There is no such page",
            status=404,
            sentences=("Please check the address.",),
            links=(("/", "Start page"),),
        )
    if isinstance(error, UpstreamUnavailableError | BusyError):
        return _unavailable()
    return page(
        "notice.html",
        title="That did not work",
        status=502,
        sentences=("Something went wrong on our side. Please try again in a moment.",),
        links=(("/", "Start page"),),
    )


def _unavailable() -> Response:
    response = page(
        "notice.html",
        title="Please try again in a moment",
        status=503,
        sentences=("We cannot reach a part of this service right now.",),
        links=(("/", "Start page"),),
    )
    response.headers["Retry-After"] = _RETRY_SECONDS
    return response
