"""What happens to a request on its way, by the handling its route names."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias, TypedDict

from integration.edge import keto_rules, member_status, repairs
from integration.edge.admin_writes import AdminWrites
from integration.edge.asgi import Answer, Reply, header
from integration.edge.batch_check import BatchCheck
from integration.edge.callers import Callers
from integration.edge.canonical import is_recovery_link
from integration.edge.database import Database
from integration.edge.flow_ticket import FlowTicket
from integration.edge.forwarding import Forwarder
from integration.edge.guards import GuardChain, Submit
from integration.edge.identity_lock import IdentityLocks
from integration.edge.limits.assembly import Limits
from integration.edge.limits.readiness import with_limits
from integration.edge.password_attempts import scrubbed
from integration.edge.problems import (
    BODY_TOO_SLOW,
    NOT_FOUND,
    RefusedError,
    html_page,
)
from integration.edge.requests import Request
from integration.edge.routes import Handling, Route
from integration.edge.submits import read_fields
from integration.edge.upstream_errors import UpstreamErrors

_OIDC_CALLBACK = "/self-service/methods/oidc/callback/"
_TOKEN_EXCHANGE = "/sessions/token-exchange"  # noqa: S105 - a path
_ERROR_PAGE = "/self-service/errors"
_FINISH_SECONDS = 5.0

_Whole: TypeAlias = Callable[[Request, Route], Coroutine[Any, Any, Answer]]


class Handlings:
    """Forwards requests, each kind in its way. Everything not sent on is raised as refused."""

    def __init__(
        self,
        *,
        forwarder: Forwarder,
        database: Database,
        locks: IdentityLocks,
        errors: UpstreamErrors,
        guards: GuardChain,
        batch: BatchCheck,
        ticket: FlowTicket,
        limits: Limits,
        admin_writes: AdminWrites,
        public_url: str,
        body_seconds: float,
    ) -> None:
        self._forwarder = forwarder
        self._statuses = member_status.MemberStatuses(database)
        self._locks = locks
        self._errors = errors
        self._guards = guards
        self._batch = batch
        self._ticket = ticket
        self._limits = limits
        self._admin_writes = admin_writes
        self._public_url = public_url
        self._callers = Callers(forwarder)
        self._body_seconds = body_seconds
        self._running: set[asyncio.Task[Answer]] = set()
        self._writes: dict[Handling, _Whole] = {
            Handling.SELF_SERVICE: self._submit,
            Handling.IDENTITY_ADMIN: self._admin_write,
        }
        self._whole: dict[Handling, _Whole] = {
            Handling.WHOAMI: self._whoami,
            Handling.TUPLE_LIST: self._tuple_list,
            Handling.TUPLE_EXPAND: self._tuple_expand,
            Handling.BATCH_CHECK: self._batch_check,
            Handling.READINESS: self._readiness,
        }

    async def handle(self, request: Request, route: Route, reply: Reply) -> None:
        """Answer a request.

        Raises:
            RefusedError: nothing was sent yet; the caller says why.
        """
        whole = self._whole.get(route.handling)
        is_write = request.is_write or _is_submit(request)
        if is_write and route.handling in self._writes:
            writing = self._writes[route.handling](request, route)
            await reply.whole(await self._to_its_end(writing))
            return
        if route.handling is Handling.SELF_SERVICE:
            whole = self._self_service_read(request)
        if whole is None:
            await self._forward(request, route, reply)
        else:
            await reply.whole(await whole(request, route))

    async def _to_its_end(self, writing: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for a write that goes on without its client.

        Whoever leaves early neither cuts a write of Kratos in two, nor frees its lock before
        it is done, nor keeps a guard from learning how it ended.
        """
        task = asyncio.create_task(writing)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Let writes whose clients left come to their end, within a bound."""
        if self._running:
            await asyncio.wait(self._running, timeout=_FINISH_SECONDS)

    def _forget(self, task: asyncio.Task[Answer]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Else asyncio complains about a refusal that nobody was left to hear.
            task.exception()

    def _self_service_read(self, request: Request) -> _Whole | None:
        if request.path == _ERROR_PAGE:
            return self._error_page
        if is_recovery_link(request.path, request.query):
            return self._recovery_page
        return self._flow

    async def _forward(self, request: Request, route: Route, reply: Reply) -> None:
        response = await self._forwarder.ask(
            request, route.upstream, drop_credentials=route.keys is not None
        )
        if route.is_ory and response.status >= 300:
            answer = await self._forwarder.read(response, route.upstream)
            await reply.whole(self._judged(answer))
        else:
            await self._forwarder.stream(response, route.upstream, reply)

    async def _ask(
        self,
        request: Request,
        route: Route,
        *,
        body: bytes | None = None,
        query: str | None = None,
    ) -> Answer:
        response = await self._forwarder.ask(
            request,
            route.upstream,
            body=body,
            query=query,
            drop_credentials=route.keys is not None,
        )
        return await self._forwarder.read(response, route.upstream)

    def _judged(self, answer: Answer) -> Answer:
        if 300 <= answer.status < 400:
            if self._errors.points_inside(header(answer.headers, b"location") or ""):
                raise RefusedError(NOT_FOUND)
        elif answer.status >= 400:
            refusal = self._errors.refusal_instead_of(answer.status, answer.body)
            if refusal is not None:
                raise RefusedError(refusal)
        return answer

    async def _whole_body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self._body_seconds):
                return await request.body.read()
        except TimeoutError as error:
            raise RefusedError(BODY_TOO_SLOW) from error

    async def _submit(self, request: Request, route: Route) -> Answer:
        body = await self._whole_body(request)
        fields = {} if _is_submit(request) else read_fields(request.headers, body)
        submit = Submit.of(request, fields)

        async def ask_kratos() -> Answer:
            async with await self._lock_for(submit):
                return await self._ask(request, route, **_sent_on(submit, body))

        answer = self._judged(scrubbed(await self._guards.around(submit, ask_kratos)))
        answer = self._limits.guard.added(submit, answer)
        return self._ticket.added(submit, repairs.of_self_service(request, answer))

    async def _lock_for(self, submit: Submit) -> AbstractAsyncContextManager[None]:
        """Return the lock of the identity a settings submit changes; else nothing to hold."""
        if submit.flow != "settings":
            return nullcontext()
        caller = await self._callers.of(submit)
        # Without a session Kratos refuses by itself.
        return nullcontext() if caller is None else self._locks.held(caller.identity_id)

    async def _flow(self, request: Request, route: Route) -> Answer:
        answer = self._judged(scrubbed(await self._ask(request, route)))
        return repairs.of_self_service(request, answer)

    async def _error_page(self, request: Request, route: Route) -> Answer:
        answer = self._judged(await self._ask(request, route))
        return Answer(answer.status, answer.headers, self._errors.scrub_error_page(answer.body))

    async def _recovery_page(self, request: Request, route: Route) -> Answer:
        """Show a button: mail scanners open links, and this one works once.

        The form has no `action`: it goes to the address it stands at, by POST.
        """
        form = '<form method="post"><p><button>Continue to my account</button></p></form>'
        return html_page(200, "Recover your account", form, [])

    async def _whoami(self, request: Request, route: Route) -> Answer:
        answer = self._judged(await self._ask(request, route))
        if answer.status >= 300:
            return answer
        identity_id = header(answer.headers, member_status.IDENTITY_HEADER)
        if await self._statuses.is_active(identity_id):
            return answer
        return member_status.no_session(request.id)

    async def _admin_write(self, request: Request, route: Route) -> Answer:
        async def ask_kratos(body: bytes) -> Answer:
            return await self._ask(request, route, body=body)

        # Read first: a slow sender must not hold somebody's lock.
        body = await self._whole_body(request)
        answer = await self._admin_writes.carried_out(request, body, ask_kratos)
        return repairs.of_creation(self._judged(answer), self._public_url)

    async def _tuple_list(self, request: Request, route: Route) -> Answer:
        query = keto_rules.bounded_list_query(request.query)
        answer = await self._ask(request, route, query=query)
        if answer.status == 500 and keto_rules.has_odd_page_token(query):
            raise RefusedError(keto_rules.BAD_PAGE_TOKEN)
        return self._judged(answer)

    async def _tuple_expand(self, request: Request, route: Route) -> Answer:
        return keto_rules.true_status(self._judged(await self._ask(request, route)))

    async def _readiness(self, request: Request, route: Route) -> Answer:
        answer = await self._ask(request, route)
        return with_limits(answer, is_degraded=self._limits.limiter.is_degraded)

    async def _batch_check(self, request: Request, route: Route) -> Answer:
        return await self._batch.answer(request, await self._whole_body(request))


def _is_submit(request: Request) -> bool:
    """Tell whether this is a submit without a form, though it mostly comes by GET."""
    if request.path.startswith(_OIDC_CALLBACK):
        return request.method in ("GET", "POST")
    return request.path == _TOKEN_EXCHANGE and request.method == "GET"


class _SentOn(TypedDict):
    body: bytes | None
    query: str | None


def _sent_on(submit: Submit, body: bytes) -> _SentOn:
    """Return what Kratos gets of a submit: what came, or what a guard made of it."""
    attempt = submit.password_attempt
    if attempt is None:
        return {"body": body if submit.request.is_write else None, "query": None}
    sent = body if attempt.other_body is None else attempt.other_body
    return {"body": sent, "query": attempt.query(submit.request.query)}
