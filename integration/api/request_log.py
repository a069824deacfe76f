"""One line a request. ASGI itself: a middleware of Starlette's costs every request a task of its
own and a queue for its answer."""

import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

_REQUEST_ID = "x-request-id"
_BROKEN_OFF = 500


class RequestLog:
    """Writes it. Never the query, which may hold a flow id or a code."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _BROKEN_OFF

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        named = {"request_id": Headers(scope=scope).get(_REQUEST_ID, ""), "path": scope["path"]}
        with structlog.contextvars.bound_contextvars(**named):
            try:
                await self._app(scope, receive, noting)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    status=status,
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )
