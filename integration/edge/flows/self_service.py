"""Kratos' self-service flows: submits through the guards, and what is read of them."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypedDict

from integration.edge.asgi import Answer
from integration.edge.canonical import is_recovery_link
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.flows import recovery_refusals, repairs
from integration.edge.flows.callers import Callers
from integration.edge.flows.flow_ticket import FlowTicket
from integration.edge.flows.guards import GuardChain, Submit
from integration.edge.flows.oidc_callback import is_oidc_callback
from integration.edge.flows.oidc_ticket import OidcTicket
from integration.edge.flows.submit_answers import has_credentials
from integration.edge.flows.submits import read_fields
from integration.edge.identity_lock import IdentityLocks
from integration.edge.limits.guard import LimitGuard
from integration.edge.passwords.attempts import scrubbed
from integration.edge.problems import html_page
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.sessions.endings import SessionEndings
from integration.edge.sessions.gate import SessionGate
from integration.edge.sessions.second_factor_flows import SecondFactorFlows
from integration.edge.sessions.withheld import WithheldSessions

_WITHOUT_FORM = frozenset({"/sessions/token-exchange", "/self-service/logout"})
_ERROR_PAGE = "/self-service/errors"


def is_submit(request: Request) -> bool:
    """Tell whether this changes something at Kratos; some submits have no form and come by GET."""
    return request.is_write or _has_no_form(request)


def _has_no_form(request: Request) -> bool:
    if is_oidc_callback(request.path):
        return request.method in ("GET", "POST")
    return request.path in _WITHOUT_FORM and request.method == "GET"


class SelfService:
    """Answers below `/self-service/`."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        guards: GuardChain,
        limit_guard: LimitGuard,
        locks: IdentityLocks,
        ticket: FlowTicket,
        oidc_ticket: OidcTicket,
        endings: SessionEndings,
        gate: SessionGate,
        second_factors: SecondFactorFlows,
        withheld: WithheldSessions,
        epochs: Epochs,
    ) -> None:
        self._exchange = exchange
        self._guards = guards
        self._limit_guard = limit_guard
        self._locks = locks
        self._ticket = ticket
        self._oidc_ticket = oidc_ticket
        self._endings = endings
        self._gate = gate
        self._second_factors = second_factors
        self._withheld = withheld
        self._epochs = epochs
        self._callers = Callers(exchange.forwarder)

    async def submit(self, request: Request, route: Route) -> Answer:
        """Ask the guards, then Kratos.

        Raises:
            RefusedError: a guard refused, or Kratos' answer may not be shown.
        """
        body = await self._exchange.whole_body(request)
        fields = {} if _has_no_form(request) else read_fields(request.headers, body)
        submit = Submit.of(request, fields)
        if submit.is_callback:
            submit.flow_id = self._oidc_ticket.flow_of(request)

        seen = await self._gate.seen_by_kratos(request)

        async def ask_kratos() -> Answer:
            async with await self._lock_for(submit):
                answer = await self._endings.around_logout(
                    request,
                    body,
                    lambda: self._exchange.ask(seen, route, **_sent_on(submit, body)),
                )
            answer = await recovery_refusals.shown(self._exchange.forwarder, submit, answer)
            return await self._withheld.shown(submit, answer)

        answer = scrubbed(await self._guards.around(submit, ask_kratos))
        if _may_have_changed_members(submit):
            # Whatever hooks changed meanwhile holds here once the client knows.
            await self._epochs.catch_up()
        answer = self._exchange.judged(answer)
        answer = self._limit_guard.added(submit, answer)
        answer = await self._second_factors.shown(request, answer)
        answer = self._oidc_ticket.added(submit, answer)
        return self._ticket.added(submit, repairs.of_self_service(request, answer))

    async def read(self, request: Request, route: Route) -> Answer:
        """Answer a start or a fetch of a flow, or one of the pages beside them."""
        if request.path == _ERROR_PAGE:
            return await self._error_page(request, route)
        if is_recovery_link(request.path, request.query):
            return _recovery_page()
        instead = await self._gate.instead_of_settings(request)
        if instead is not None:
            return instead
        query = await self._second_factors.query(request)
        seen = await self._gate.seen_by_kratos(request)
        asked = await self._exchange.ask(seen, route, query=query)
        answer = await self._second_factors.shown(request, self._exchange.judged(scrubbed(asked)))
        return repairs.of_self_service(request, answer)

    async def _lock_for(self, submit: Submit) -> AbstractAsyncContextManager[None]:
        """Return the lock of the identity that settings change, a provider's answer to them
        among it; else nothing to hold."""
        comes_back = submit.is_callback and has_credentials(submit.request)
        if submit.flow != "settings" and not comes_back:
            return nullcontext()
        caller = await self._callers.of(submit)
        # Without a session Kratos refuses by itself.
        return nullcontext() if caller is None else self._locks.held(caller.identity_id)

    async def _error_page(self, request: Request, route: Route) -> Answer:
        answer = self._exchange.judged(await self._exchange.ask(request, route))
        scrubbed_body = self._exchange.errors.scrub_error_page(answer.body)
        return Answer(answer.status, answer.headers, scrubbed_body)


def _may_have_changed_members(submit: Submit) -> bool:
    """Tell whether a hook may have written something.

    That of a login does not; what a login does to sessions, `SessionBeginnings` sees to. One with
    a provider may have been a registration.
    """
    return submit.flow != "login" or submit.method == "oidc"


def _recovery_page() -> Answer:
    """Show a button: mail scanners open links, and this one works once.

    The form has no `action`: it goes to the address it stands at, by POST.
    """
    form = '<form method="post"><p><button>Continue to my account</button></p></form>'
    return html_page(200, "Recover your account", form, [])


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
