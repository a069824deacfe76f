"""How a submit ended, where the answer alone does not tell: a form is only sent elsewhere.

What has to be asked of Kratos is asked once a submit, with the client's own cookies, and shared
by all guards.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import structlog

from integration.edge.asgi import Answer, RawHeaders, header
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcomes import first_document
from integration.edge.flows.submit_answers import (
    SESSION_COOKIE,
    UNREADABLE,
    callback_flow,
    has_credentials,
    new_credentials,
    of_body,
    session_cookie,
)
from integration.edge.flows.submit_outcomes import (
    Outcome,
    SubmitOutcome,
    Verdict,
    as_uuid,
    identity_of,
    is_new_session,
    of_error,
)
from integration.edge.forwarding import Forwarder
from integration.edge.problems import RefusedError
from integration.edge.routes import Upstream

log = structlog.get_logger()

# Asks Kratos' public port: path, query, and the credentials to use (None: the client's).
Fetch = Callable[[str, str, RawHeaders | None], Awaitable[Answer]]

# The person waits for this.
_LONGEST_SECONDS = 2.0
_PAGE = re.compile(r"/(login|registration|settings|recovery|verification)\Z")
_FLOW_FETCH = re.compile(r"/self-service/(login|registration|settings|recovery|verification)/flows")
_NEW_LOGIN = "/self-service/login/browser"


class OutcomeReader:
    """Classifies submits; asks Kratos through the forwarder where it has to."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    async def of(self, submit: Submit, answer: Answer | None) -> SubmitOutcome:
        """Return how a submit ended, the same for whoever asks. Never raises."""
        if submit.outcome is None:
            async with submit.reading:
                if submit.outcome is None:
                    submit.outcome = await classify(submit, answer, self._fetch_for(submit))
        return submit.outcome

    def _fetch_for(self, submit: Submit) -> Fetch:
        async def fetch(path: str, query: str, credentials: RawHeaders | None) -> Answer:
            request = submit.request
            if credentials is not None:
                request = replace(request, headers=credentials)
            return await self._forwarder.fetch(Upstream.KRATOS_PUBLIC, path, query, request)

        return fetch


async def classify(submit: Submit, answer: Answer | None, fetch: Fetch) -> SubmitOutcome:
    """Return how a submit ended. Never raises.

    Args:
        answer: Kratos' own; None when it was not asked or did not answer.
        fetch: Asks Kratos' public port. Not called where the answer tells by itself.
    """
    if answer is None:
        return _not_answered(submit)
    ends_at = asyncio.get_running_loop().time() + _LONGEST_SECONDS

    async def in_time(path: str, query: str, credentials: RawHeaders | None) -> Answer:
        async with asyncio.timeout_at(ends_at):
            return await fetch(path, query, credentials)

    reading = _Reading(submit, answer, in_time)
    try:
        return await reading.outcome()
    except (RefusedError, TimeoutError) as error:
        log.warning("outcome_unreadable", flow=submit.flow, error=type(error).__name__)
        verdict = reading.unread()
        return SubmitOutcome(
            verdict.outcome, submit.method, code=verdict.code, flow=submit.flow or "login"
        )


def _not_answered(submit: Submit) -> SubmitOutcome:
    refusal = submit.refusal
    if refusal is None or refusal.status >= 500:
        outcome, code = Outcome.UPSTREAM_ERROR, refusal.code if refusal else "not_answered"
    else:
        outcome = Outcome.LIMITED if refusal.status == 429 else Outcome.REFUSED
        code = refusal.code
    return SubmitOutcome(outcome, submit.method, code=code, flow=submit.flow)


@dataclass(slots=True)
class _Reading:
    submit: Submit
    answer: Answer
    fetch: Fetch

    async def outcome(self) -> SubmitOutcome:
        flow = self.submit.flow
        if self.answer.status in (302, 303):
            flow, verdict = await self._redirected()
        else:
            verdict = of_body(self.answer.body, flow, has_session=self._has_session)
            if self.submit.is_callback or self.submit.is_token_exchange:
                flow = callback_flow(self.answer.body)
        verdict = await self._with_session(flow, verdict)
        session = verdict.session or {}
        return SubmitOutcome(
            verdict.outcome,
            self.submit.method,
            identity_id=verdict.identity_id,
            session_id=as_uuid(session.get("id")),
            code=None if verdict.outcome is Outcome.SUCCESS else verdict.code,
            is_new_session=bool(session) and is_new_session(session),
            flow=flow,
            session=verdict.session if verdict.outcome is Outcome.SUCCESS else None,
        )

    @property
    def _has_session(self) -> bool:
        return session_cookie(self.answer) is not None

    async def _redirected(self) -> tuple[str, Verdict]:
        """Return the flow and the verdict of a submit whose answer is "go there"."""
        there = urlsplit(header(self.answer.headers, b"location") or "")
        query = parse_qs(there.query)
        shown = as_uuid(query.get("flow", [""])[0])
        asked = as_uuid(query.get("id", [""])[0])
        page, fetched = _PAGE.search(there.path), _FLOW_FETCH.search(there.path)
        if fetched and asked:
            return fetched[1], await self._shown_flow(fetched[1], asked)
        if page and shown:
            return await self._sent_to_page(page[1], shown)
        flow = self.submit.flow or "login"
        if asked and there.path.endswith("/error"):
            return flow, await self._error_page(asked)
        return flow, self._sent_away(flow, there.path, query)

    async def _sent_to_page(self, page: str, flow_id: UUID) -> tuple[str, Verdict]:
        flow = self.submit.flow or page
        if flow == page:
            return flow, await self._shown_flow(flow, flow_id)
        # On to the next flow: verification after a registration, a new password after recovery.
        goes_on = (flow, page) in (("registration", "verification"), ("recovery", "settings"))
        done = goes_on or self._has_session
        return flow, Verdict(Outcome.SUCCESS if done else Outcome.NEXT_STEP, f"{page}_next")

    def _sent_away(self, flow: str, path: str, query: dict[str, list[str]]) -> Verdict:
        if self._has_session:
            return Verdict(Outcome.SUCCESS)
        if self.submit.is_callback and "code" in query:
            # A native client gets its session by a request of its own.
            return Verdict(Outcome.NEXT_STEP, "token_exchange")
        if path.endswith(_NEW_LOGIN):
            why = "session_refresh_required" if "refresh" in query else "session_inactive"
            why = "session_aal2_required" if "aal" in query else why
            return Verdict(Outcome.NEXT_STEP, why)
        if self.submit.method == "oidc" and not self.submit.is_callback:
            return Verdict(Outcome.NEXT_STEP, "browser_location_change_required")
        # Kratos sends whoever is logged in already away, without having looked at the form.
        was_in = SESSION_COOKIE in (self.submit.request.header(b"cookie") or "")
        if flow == "login" or (flow == "registration" and was_in):
            return Verdict(Outcome.NEXT_STEP, "session_already_available")
        return Verdict(Outcome.SUCCESS)

    async def _shown_flow(self, flow: str, flow_id: UUID) -> Verdict:
        """Read the flow that a form client is sent to, with the client's own cookies."""
        answer = await self.fetch(f"/self-service/{flow}/flows", f"id={flow_id}", None)
        self.submit.shown_flow = answer.body
        document = first_document(answer.body) or {}
        if "ui" not in document:
            is_other = flow_id != self.submit.flow_id and not self.submit.is_callback
            return Verdict(Outcome.FLOW_EXPIRED, "flow_replaced") if is_other else self.unread()
        verdict = of_body(answer.body, flow, has_session=self._has_session)
        if verdict.outcome is Outcome.VALIDATION and flow == "login":
            # Another submit of the same flow was quicker and overwrote the message: with all
            # fields filled in Kratos had nothing to validate but the secret.
            return self._failed_guess("message_overwritten") or verdict
        return verdict

    def unread(self) -> Verdict:
        """Return what a submit counts as whose outcome cannot be read.

        Kratos compares the CSRF token of a submit with the cookie alone, and that of a fetch with
        the flow: whoever sends a form of somebody else's flow could guess unseen. What tried a
        secret and gave no session is therefore taken for wrong.
        """
        if self.answer.status not in (302, 303):
            return UNREADABLE
        if self._has_session:
            return Verdict(Outcome.SUCCESS)
        return self._failed_guess(str(UNREADABLE.code)) or UNREADABLE

    def _failed_guess(self, code: str) -> Verdict | None:
        """Return the failure of the secret that this submit tried; None when it tried none."""
        fields = self.submit.fields
        if self.submit.flow == "login" and fields.get("password") and self.submit.identifier:
            return Verdict(Outcome.WRONG_CREDENTIALS, code)
        tried = any(fields.get(name) for name in ("code", "totp_code", "lookup_secret"))
        return Verdict(Outcome.WRONG_CODE, code) if tried else None

    async def _error_page(self, error_id: UUID) -> Verdict:
        answer = await self.fetch("/self-service/errors", f"id={error_id}", None)
        error = (first_document(answer.body) or {}).get("error")
        return of_error(error) if isinstance(error, dict) else UNREADABLE

    async def _with_session(self, flow: str, verdict: Verdict) -> Verdict:
        """Return the verdict with whose credentials they were, asking for the session if needed."""
        if flow not in ("login", "recovery") or verdict.identity_id is not None:
            return verdict
        credentials: RawHeaders | None
        if verdict.outcome is Outcome.SUCCESS:
            credentials = new_credentials(self.answer)
        elif verdict.outcome is Outcome.WRONG_CODE and flow == "login":
            # A second factor: whose it was to be, the session it was tried over tells.
            credentials = None if has_credentials(self.submit.request) else []
        else:
            return verdict
        if credentials == []:
            return verdict
        session = await self._whoami(credentials)
        if session is None:
            return verdict
        identity_id = identity_of({"session": session})
        # Without a new session, this one is that of the attempt's person only.
        new = session if verdict.outcome is Outcome.SUCCESS else None
        return replace(verdict, identity_id=identity_id, session=verdict.session or new)

    async def _whoami(self, credentials: RawHeaders | None) -> dict[str, object] | None:
        answer = await self.fetch("/sessions/whoami", "", credentials)
        document = first_document(answer.body)
        return document if document is not None and "authenticated_at" in document else None
