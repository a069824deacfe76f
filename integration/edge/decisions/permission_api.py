"""`/api/permissions/check` and `/batch-check`: our own questions.

A bad question is refused as a whole; in a batch it fails alone, and the rest is answered.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NoReturn

from integration.edge.asgi import Answer
from integration.edge.decisions.allowance import Allowance
from integration.edge.decisions.askers import Asker, Askers
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision import Asking, Decision, Reason
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.exchange import Exchange
from integration.edge.problems import Refusal, RefusedError, json_answer
from integration.edge.requests import Request
from integration.edge.routes import Route
from policies.permission_questions import MalformedError, read_question

MAX_BATCH = 1000

NOT_JSON = Refusal(400, "malformed_body", "The body is not a JSON object.")
BAD_BATCH = Refusal(
    422, "batch_malformed", f'The body is {{"checks": [...]}} with 1 to {MAX_BATCH} checks.'
)
SUBJECT_UNKNOWN = Refusal(404, "subject_unknown", "There is no member with this id.")

HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class PermissionApi:
    """Answers questions in our own shape."""

    def __init__(
        self,
        exchange: Exchange,
        askers: Askers,
        allowance: Allowance,
        decisions: Decisions,
        log: DecisionLog,
    ) -> None:
        self._exchange = exchange
        self._askers = askers
        self._allowance = allowance
        self._decisions = decisions
        self._log = log

    async def check(self, request: Request, _: Route) -> Answer:
        """Answer one question.

        Raises:
            RefusedError: the caller may not ask, or asks too much; the question is none, or is
                about nobody.
        """
        started = time.perf_counter()
        asker = await self._askers.of(request)
        asking = asking_of(read_json(await self._exchange.whole_body(request)), asker)
        await self._spend(asker, (asking,))
        decision = await self._decisions.decide(asking)
        self._log.add(asking.question, decision, asker.name, request.id, started)
        if decision.reason is Reason.SUBJECT_UNKNOWN:
            raise RefusedError(SUBJECT_UNKNOWN)
        return Answer(200, HEADERS, json.dumps(shown(decision)).encode())

    async def batch_check(self, request: Request, _: Route) -> Answer:
        """Answer up to a thousand questions, in their order.

        Raises:
            RefusedError: the caller may not ask, or asks too much, or the body is no batch.
        """
        started = time.perf_counter()
        asker = await self._askers.of(request)
        items = _checks(read_json(await self._exchange.whole_body(request)))
        askings = [_asking_or_refusal(item, asker) for item in items]
        whole = [asking for asking in askings if isinstance(asking, Asking)]
        await self._spend(asker, whole)
        decisions = iter(await self._decisions.decide_all(whole, share=asker.share))
        results: list[dict[str, object]] = []
        for asking in askings:
            if isinstance(asking, Refusal):
                results.append({"error": _problem(asking)})
                continue
            decision = next(decisions)
            self._log.add(asking.question, decision, asker.name, request.id, started)
            results.append(shown_in_batch(decision))
        return json_answer(200, {"results": results})

    async def _spend(self, asker: Asker, askings: Sequence[Asking]) -> None:
        """Count what is asked of Keto; answers from memory are free."""
        if asker.subject is not None:
            known = sum(self._decisions.is_at_hand(each) for each in askings)
            await self._allowance.spend(asker, len(askings) - known)


def shown(decision: Decision) -> dict[str, object]:
    """Return a decision as clients see it."""
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "epoch": str(decision.epochs),
        "until": None if decision.until is None else _moment(decision.until),
    }


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat()


def shown_in_batch(decision: Decision) -> dict[str, object]:
    if decision.reason is Reason.SUBJECT_UNKNOWN:
        return {"error": _problem(SUBJECT_UNKNOWN)}
    return shown(decision)


def read_json(body: bytes) -> Any:
    """Return a body.

    Raises:
        RefusedError: it is not JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(NOT_JSON) from None


def refuse_malformed(error: MalformedError) -> NoReturn:
    """Raise what a malformed question becomes on our own paths."""
    raise RefusedError(Refusal(422, error.code, error.sentence)) from error


def _checks(document: Any) -> Sequence[Any]:
    checks = document.get("checks") if isinstance(document, dict) else None
    if not isinstance(checks, list) or not 1 <= len(checks) <= MAX_BATCH or len(document) != 1:
        raise RefusedError(BAD_BATCH)
    return checks


def asking_of(document: Any, asker: Asker) -> Asking:
    """Return a question of ours.

    Raises:
        RefusedError: it is none, or about somebody the caller may not ask about.
    """
    try:
        asked = read_question(document)
    except MalformedError as error:
        refuse_malformed(error)
    return Asking(asked.about(asker.subject_of(asked.subject)), asked.at_least, asked.fresh)


def _asking_or_refusal(document: Any, asker: Asker) -> Asking | Refusal:
    try:
        return asking_of(document, asker)
    except RefusedError as error:
        return error.refusal


def _problem(refusal: Refusal) -> dict[str, object]:
    return {
        "type": f"urn:kleis:problem:{refusal.code}",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.sentence,
    }
