"""Ory's own check paths. The answers are Keto's; before, what has ended is taken from Keto.

The question is read here and sent on in one form, so that nobody reads another one than was
looked at. Permits may be answered from memory; a bare relation, a subject set and a check with a
depth of its own are always Keto's.
"""

import asyncio
import json
import time
from typing import Any, NoReturn

from integration.edge.asgi import Answer, RawHeaders
from integration.edge.decisions.askers import Askers
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision import Asking, Decision, Reason
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.decisions.ory_reading import NOT_JSON, check_of_query, depth_of, object_of
from integration.edge.decisions.settled_keto import SettledKeto
from integration.edge.exchange import Exchange
from integration.edge.problems import (
    UPSTREAM_TEMPORARY,
    Refusal,
    RefusedError,
    json_answer,
)
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.tuples.keto_rules import BAD_BATCH, MAX_BATCH, unknown_verdict
from integration.settings import Settings
from policies.ory_checks import OryCheck, read_ory_check
from policies.permission_questions import MalformedError

_MIRRORS_STATUS = "/relation-tuples/check"


class OryChecks:
    """Answers `/relation-tuples/check`, `/check/openapi` and `/batch/check`."""

    def __init__(
        self,
        settings: Settings,
        exchange: Exchange,
        *,
        askers: Askers,
        keto: SettledKeto,
        decisions: Decisions,
        log: DecisionLog,
    ) -> None:
        self._exchange = exchange
        self._askers = askers
        self._keto = keto
        self._decisions = decisions
        self._log = log
        self._batch_seconds = settings.upstream_timeout.total_seconds()

    async def check(self, request: Request, _: Route) -> Answer:
        """Answer one check.

        Raises:
            RefusedError: it cannot be read in one way only, or Keto does not answer.
        """
        started = time.perf_counter()
        check = await self._read(request)
        mirrors = request.path == _MIRRORS_STATUS
        permit = check.permit()
        if permit is None:
            answer = await self._keto.ask(check, request.path)
            return _shown(allowed=False, mirrors=mirrors) if answer is None else answer
        decision = await self._decisions.decide(Asking(permit), members_only=False)
        self._log.add(permit, decision, self._name(request), request.id, started)
        if decision.reason is Reason.UNKNOWN:
            raise RefusedError(UPSTREAM_TEMPORARY)
        return _shown(allowed=decision.allowed, mirrors=mirrors)

    async def batch(self, request: Request, _: Route) -> Answer:
        """Answer many checks; one that is malformed fails alone.

        Raises:
            RefusedError: the body is not Ory's shape.
        """
        started = time.perf_counter()
        checks = await self._read_batch(request)
        results: list[dict[str, Any]] = [
            {"allowed": False, "error": check} if isinstance(check, str) else unknown_verdict()
            for check in checks
        ]
        whole = [(at, check) for at, check in enumerate(checks) if isinstance(check, OryCheck)]
        permits = [(at, permit) for at, check in whole if (permit := check.permit())]
        others = [(at, check) for at, check in whole if not check.permit()]
        share = self._name(request)
        decisions, verdicts = await asyncio.gather(
            self._decisions.decide_all(
                [Asking(each) for _, each in permits], share=share, members_only=False
            ),
            self._keto.ask_all(
                [each for _, each in others], seconds=self._batch_seconds, share=share
            ),
        )
        for (at, permit), decision in zip(permits, decisions, strict=True):
            self._log.add(permit, decision, self._name(request), request.id, started)
            results[at] = _in_batch(decision)
        for (at, _other), result in zip(others, verdicts, strict=True):
            results[at] = result
        return json_answer(200, {"results": results})

    async def _read(self, request: Request) -> OryCheck:
        try:
            if request.method != "POST":
                return check_of_query(request.query)
            body = await self._exchange.whole_body(request)
            return read_ory_check(object_of(body), depth_of(request.query))
        except MalformedError as error:
            _refuse(error)

    async def _read_batch(self, request: Request) -> list[OryCheck | str]:
        """Return each check, or what is wrong with it."""
        body = await self._exchange.whole_body(request)
        try:
            document, depth = object_of(body), depth_of(request.query)
        except MalformedError as error:
            if error.code == NOT_JSON:
                raise RefusedError(BAD_BATCH) from error
            _refuse(error)
        tuples = document.get("tuples") if isinstance(document, dict) else None
        if not isinstance(tuples, list) or len(tuples) > MAX_BATCH:
            raise RefusedError(BAD_BATCH)
        if not all(isinstance(item, dict) for item in tuples):
            raise RefusedError(BAD_BATCH)
        return [_check_or_error(item, depth) for item in tuples]

    def _name(self, request: Request) -> str:
        # The route let nobody pass without a key.
        return self._askers.key_of(request).name


def _shown(*, allowed: bool, mirrors: bool) -> Answer:
    """Return what Keto says, as it says it: `/check` shows a denial in its status as well."""
    headers: RawHeaders = [(b"content-type", b"application/json; charset=utf-8")]
    body = json.dumps({"allowed": allowed}).encode()
    return Answer(200 if allowed or not mirrors else 403, headers, body)


def _in_batch(decision: Decision) -> dict[str, Any]:
    if decision.reason in (Reason.UNKNOWN, Reason.SETTLING):
        return unknown_verdict()
    return {"allowed": decision.allowed}


def _check_or_error(item: Any, depth: str | None) -> OryCheck | str:
    try:
        return read_ory_check(item, depth)
    except MalformedError as error:
        return error.sentence


def _refuse(error: MalformedError) -> NoReturn:
    raise RefusedError(Refusal(400, error.code, error.sentence)) from error
