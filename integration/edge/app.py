"""The edge, put together: one ASGI application in front of Kratos, Keto and the service."""

import asyncio
import time

import structlog

from integration.edge import canonical, client_address, headers
from integration.edge.admin_writes import AdminWrites
from integration.edge.api_keys import ApiKeys
from integration.edge.asgi import Answer, ASGIApp, RawHeaders, Receive, Reply, Scope, Send, header
from integration.edge.attempt_log import AttemptLog
from integration.edge.batch_check import BatchCheck
from integration.edge.bodies import ClientGoneError, RequestBody
from integration.edge.client_watch import ClientWatch
from integration.edge.database import Database
from integration.edge.flow_ticket import FlowTicket
from integration.edge.flow_turns import FlowTurns
from integration.edge.forwarding import Forwarder
from integration.edge.guards import Guard, GuardChain
from integration.edge.handlings import Handlings
from integration.edge.identity_lock import IdentityLocks
from integration.edge.limits.assembly import Limits, make_limits
from integration.edge.login_attempts import LoginAttempts
from integration.edge.outcome_reader import OutcomeReader
from integration.edge.password_guard import PasswordGuard
from integration.edge.password_histories import PasswordHistories
from integration.edge.password_judge import PasswordJudge
from integration.edge.password_learning import PasswordLearning
from integration.edge.problems import (
    HEADERS_TOO_LARGE,
    INTERNAL,
    Refusal,
    RefusedError,
    method_not_allowed,
    page,
    problem,
)
from integration.edge.registration_progress import RegistrationProgress
from integration.edge.requests import Request
from integration.edge.routes import Handling, Route, Upstream, find, is_misspelt
from integration.edge.upstream_errors import UpstreamErrors
from integration.settings import Settings

log = structlog.get_logger()

_CLIENT_LEFT = 499  # never sent; what nginx calls it in its log


def make_edge(settings: Settings) -> ASGIApp:
    """Build the edge. It connects to nothing before its lifespan starts."""
    forwarder = Forwarder(settings)
    database = Database(settings)
    reader, attempts = OutcomeReader(forwarder), AttemptLog(settings)
    judge = PasswordJudge(settings.password_profile, settings.secret.get_secret_value())
    histories = PasswordHistories(database)
    passwords = PasswordGuard(settings, forwarder, database, judge, histories)
    learning = PasswordLearning(reader, histories, judge.digests)
    limits = make_limits(settings, database, forwarder, reader)
    # Guards are asked in this order and told in reverse: the first also sees what others refuse.
    # Limits, lock-out and password rules go between.
    submit_guards: tuple[Guard, ...] = (
        LoginAttempts(settings, reader, attempts),
        limits.guard,
        RegistrationProgress(database, forwarder),
        passwords,
        learning,
        FlowTurns(reader),
    )
    private = [str(getattr(settings, each.value)) for each in Upstream]
    return Edge(
        settings=settings,
        forwarder=forwarder,
        database=database,
        submit_guards=submit_guards,
        attempts=attempts,
        passwords=(passwords, learning),
        limits=limits,
        errors=UpstreamErrors(private),
    )


class Edge:
    """The application. Starts without PostgreSQL, and finds it when it comes."""

    def __init__(
        self,
        *,
        settings: Settings,
        forwarder: Forwarder,
        database: Database,
        submit_guards: tuple[Guard, ...],
        attempts: AttemptLog,
        passwords: tuple[PasswordGuard, PasswordLearning],
        limits: Limits,
        errors: UpstreamErrors,
    ) -> None:
        self._settings = settings
        self._forwarder = forwarder
        self._database = database
        self._attempts = attempts
        self._passwords = passwords
        self._limiter = limits.limiter
        self._locks = IdentityLocks(settings)
        self._keys = ApiKeys(database)
        self._handlings = Handlings(
            forwarder=forwarder,
            database=database,
            locks=self._locks,
            errors=errors,
            guards=GuardChain(submit_guards),
            batch=BatchCheck(forwarder, seconds=settings.upstream_timeout.total_seconds()),
            ticket=FlowTicket(settings),
            limits=limits,
            admin_writes=AdminWrites(forwarder, database, self._locks, settings),
            public_url=str(settings.public_url),
            body_seconds=settings.forward_timeout.total_seconds(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._forwarder.start()
        await self._database.start()
        await self._locks.start()
        await self._attempts.start()
        await self._limiter.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._handlings.finish()
        for guard in self._passwords:
            await guard.finish()
        await self._attempts.close()
        await self._limiter.close()
        await self._forwarder.close()
        await self._database.close()
        await self._locks.close()
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
        log.info(
            "request",
            method=scope["method"],
            route=route.name,
            status=reply.status,
            duration_ms=round((time.perf_counter() - started) * 1000, 1),
            request_id=request_id,
        )

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
        if fault is None and is_misspelt(raw_path.decode("ascii")):
            fault = canonical.NOT_CANONICAL
        query = scope["query_string"].decode("latin-1")
        fault = fault or canonical.query_fault(raw_path.decode("latin-1"), query)
        if fault is not None:
            raise RefusedError(fault)
        body.refuse_if_declared_too_large()
        peer = scope.get("client")
        return Request(
            method=scope["method"],
            path=raw_path.decode("ascii"),
            query=query,
            headers=fields,
            client_address=client_address.decide(
                peer[0] if peer else None, fields, self._settings.trusted_proxies
            ),
            id=request_id,
            body=body,
        )

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
