"""The edge as an ASGI application: what every request passes, whoever answers it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from integration import on_behalf
from integration.edge import canonical, client_address, headers
from integration.edge.api_keys import ApiKeys
from integration.edge.asgi import Answer, RawHeaders, Receive, Reply, Scope, Send, header
from integration.edge.bodies import ClientGoneError, RequestBody
from integration.edge.client_watch import ClientWatch
from integration.edge.decisions.hot_checks import HotChecks
from integration.edge.handlings import Handlings
from integration.edge.problems import (
    HEADERS_TOO_LARGE,
    INTERNAL,
    Refusal,
    RefusedError,
    method_not_allowed,
    page,
    problem,
)
from integration.edge.requests import Request
from integration.edge.routes import Handling, Route, find, is_misspelt
from integration.edge.sessions.hot_whoami import HotWhoami
from integration.edge.sessions.one_member import OneMember
from integration.edge.tuples import keto_rules
from integration.settings import Settings

log = structlog.get_logger()

_OUR_API = "/api/"
_CLIENT_LEFT = 499  # never sent; what nginx calls it in its log


class Part(Protocol):
    """Something that lives as long as the edge."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Edge:
    """The application. Starts without PostgreSQL, and finds it when it comes."""

    def __init__(
        self,
        *,
        settings: Settings,
        keys: ApiKeys,
        handlings: Handlings,
        one_member: OneMember,
        hot: HotWhoami,
        hot_checks: HotChecks,
        parts: Sequence[Part],
        finishing: Sequence[Callable[[], Awaitable[None]]],
    ) -> None:
        """Args:
        hot, hot_checks: Asked before anything is made of a request.
        parts: Started in this order, closed in reverse.
        finishing: Lets work that nobody waits for come to its end, before any part is closed.
        """
        self._settings = settings
        self._keys = keys
        self._handlings = handlings
        self._one_member = one_member
        self._hot = hot
        self._hot_checks = hot_checks
        self._parts = tuple(parts)
        self._finishing = tuple(finishing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            if await self._hot.answered(scope, send):
                return
            rest = await self._hot_checks.answered(scope, receive, send)
            if rest is not None:
                await self._answer(scope, rest, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def at_once(self, fields: RawHeaders) -> tuple[RawHeaders, bytes] | None:
        """Return what `HotWhoami` does: `EdgeProtocol` asks before it makes a task."""
        return self._hot.at_once(fields)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        for part in self._parts:
            await part.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._handlings.finish()
        for finish in self._finishing:
            await finish()
        for part in reversed(self._parts):
            await part.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens, and log one line about it."""
        started = time.perf_counter()
        fields: RawHeaders = list(scope["headers"])
        request_id = headers.request_id(fields)
        route = _route_of(scope)
        is_import = route.handling is Handling.IDENTITY_ADMIN
        largest = self._settings.max_import_bytes if is_import else self._settings.max_body_bytes
        body = RequestBody(receive, fields, max_bytes=largest)
        reply = Reply(send, [(b"x-request-id", request_id.encode())])
        try:
            request = self._request(scope, fields, request_id, body)
            await self._watched(request, route, reply)
        except RefusedError as error:
            await _refuse(error.refusal, scope, route, body, reply)
        except ClientGoneError:
            reply.status = _CLIENT_LEFT
        except Exception:
            log.exception("request_failed", route=route.name, request_id=request_id)
            await _refuse(INTERNAL, scope, route, body, reply)
        line = partial(
            log.info,
            "request",
            method=scope["method"],
            route=route.name,
            status=reply.status,
            duration_ms=round((time.perf_counter() - started) * 1000, 1),
            request_id=request_id,
        )
        # What was answered leaves at the end of this turn of the loop: the line can wait till then.
        asyncio.get_running_loop().call_soon(line)

    def _request(
        self, scope: Scope, fields: RawHeaders, request_id: str, body: RequestBody
    ) -> Request:
        """Return the request, if it is one that may be looked at further.

        Raises:
            RefusedError: its header, address or body is not acceptable.
        """
        if headers.are_too_large(fields):
            raise RefusedError(HEADERS_TOO_LARGE)
        framing = headers.framing_fault(fields, http_version=scope["http_version"])
        if framing is not None:
            raise RefusedError(framing)
        raw_path: bytes = scope["raw_path"]
        fault = canonical.path_fault(raw_path)
        if fault is not None:
            raise RefusedError(fault)
        path = raw_path.decode("ascii")
        if is_misspelt(path):
            raise RefusedError(canonical.NOT_CANONICAL)
        query = scope["query_string"].decode("latin-1")
        fault = canonical.query_fault(path, query) or keto_rules.depth_fault(path, query)
        if fault is not None:
            raise RefusedError(fault)
        body.refuse_if_declared_too_large()
        peer = scope.get("client")
        return Request(
            method=scope["method"],
            path=path,
            query=query,
            headers=fields,
            client_address=self._client_address(peer[0] if peer else None, fields, raw_path),
            id=request_id,
            body=body,
        )

    def _client_address(self, peer: str | None, fields: RawHeaders, path: bytes) -> str:
        """Return who asks: the service may speak for a client of its own."""
        said = header(fields, on_behalf.HEADER.encode())
        if said is not None:
            secret = self._settings.secret.get_secret_value()
            named = on_behalf.read(secret, said, path.decode("ascii"), now=time.time())
            if named is not None:
                return named
        return client_address.decide(peer, fields, self._settings.trusted_proxies)

    async def _watched(self, request: Request, route: Route, reply: Reply) -> None:
        """Answer, but stop when the client leaves."""
        watch = ClientWatch(request)
        try:
            await self._permitted(request, route, reply)
        except asyncio.CancelledError:
            if not watch.client_left:
                raise
            raise ClientGoneError from None
        finally:
            request.answered.set()
            watch.end()

    async def _permitted(self, request: Request, route: Route, reply: Reply) -> None:
        if request.method not in route.methods:
            raise RefusedError(method_not_allowed(route.methods))
        if route.is_ory and request.method == "OPTIONS":
            allow = [(b"allow", ", ".join(route.methods).encode())]
            await reply.whole(Answer(204, allow, b""))
            return
        scope = route.scope(request.method, request.query)
        if scope is not None:
            await self._keys.require(request.headers, scope)
        if request.path.startswith(_OUR_API):
            await self._one_member.require(request)
        await self._handlings.handle(request, route, reply)


def _route_of(scope: Scope) -> Route:
    path = scope["raw_path"].decode("latin-1")
    if not path.startswith("/"):
        # `OPTIONS *`
        return find("/")
    return find(path.lower().rstrip("/") if is_misspelt(path) else path)


async def _refuse(
    refusal: Refusal, scope: Scope, route: Route, body: RequestBody, reply: Reply
) -> None:
    if reply.status:
        # An answer is under way already: it can only break off.
        return
    fields: RawHeaders = list(scope["headers"])
    accept = header(fields, b"accept")
    is_self_service = scope["raw_path"].startswith(b"/self-service/")
    if refusal.instead is not None:
        answer = refusal.instead
    elif is_self_service and headers.wants_html(accept):
        answer = page(refusal)
    else:
        on_ory_path = route.is_ory or refusal is canonical.NOT_CANONICAL
        answer = problem(refusal, on_ory_path=on_ory_path)
    if not body.finished:
        await body.drain()
    await reply.whole(answer, closing=not body.finished)
