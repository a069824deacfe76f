"""`POST /api/permissions/explain`: as `check`, with the ways that allow or what is missing."""

import time
from typing import Any

from integration.edge.asgi import Answer
from integration.edge.decisions.allowance import EXPLANATION, Allowance
from integration.edge.decisions.askers import NOT_YOURS, Asker, Askers
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision import Asking, Decision, Reason
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.decisions.explaining import Explainer, Explanation, shown_tree
from integration.edge.decisions.permission_api import (
    SUBJECT_UNKNOWN,
    asking_of,
    read_json,
    shown,
)
from integration.edge.exchange import Exchange
from integration.edge.problems import RefusedError, json_answer
from integration.edge.requests import Request
from integration.edge.routes import Route
from policies.authority import GUEST_SUBJECT

_WHO = "who"
_MAX_MISSING = 20
_NOTHING = "Nothing gives this to the subject."
_NOT_NOW = {
    Reason.GATE_CLOSED: "The account is not active: nothing is permitted to it until it is.",
    Reason.SETTLING: "What has changed could not be told to Keto in time. Try again.",
    Reason.STALE: "This edge has not heard yet of what the caller knows. Try again.",
    Reason.UNKNOWN: "Keto gave no answer in time. Try again.",
}


class ExplainApi:
    """Explains."""

    def __init__(
        self,
        exchange: Exchange,
        askers: Askers,
        *,
        allowance: Allowance,
        decisions: Decisions,
        explainer: Explainer,
        log: DecisionLog,
    ) -> None:
        self._exchange = exchange
        self._askers = askers
        self._allowance = allowance
        self._decisions = decisions
        self._explainer = explainer
        self._log = log

    async def explain(self, request: Request, _: Route) -> Answer:
        """Answer one question with its explanation; with `"who": true`, who could be allowed.

        Raises:
            RefusedError: as `PermissionApi.check`.
        """
        started = time.perf_counter()
        asker = await self._askers.of(request)
        document = read_json(await self._exchange.whole_body(request))
        if isinstance(document, dict) and document.get(_WHO) is True:
            return await self._reach(document, asker)
        asking = asking_of(document, asker)
        await self._allowance.spend(asker, EXPLANATION)
        decision = await self._decisions.decide(asking)
        if decision.reason is Reason.SUBJECT_UNKNOWN:
            raise RefusedError(SUBJECT_UNKNOWN)
        explanation = await self._explainer.explain(asking.question)
        if explanation.tree.allowed is not decision.allowed:
            # Something changed between the two, or was remembered: look at both once more.
            decision = await self._decisions.decide(Asking(asking.question, fresh=True))
            explanation = await self._explainer.explain(asking.question)
        self._log.add(asking.question, decision, asker.name, request.id, started)
        answer = explained(decision, explanation)
        return json_answer(200, answer if asker.subject is None else _for_member(answer))

    async def _reach(self, document: dict[str, Any], asker: Asker) -> Answer:
        if asker.subject is not None:
            raise RefusedError(NOT_YOURS)
        plain = {name: value for name, value in document.items() if name != _WHO}
        asking = asking_of(plain | {"subject": GUEST_SUBJECT}, asker)
        ways, is_complete = await self._explainer.reach(asking.question)
        return json_answer(200, {"reachable_by": ways, "complete": is_complete})


def _for_member(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an explanation without what lies around the object: where it belongs, who has it."""
    lacking = answer["missing"] if answer["reason"] in _NOT_NOW else [_NOTHING]
    return answer | {
        "paths": [way | {"via": []} for way in answer["paths"]],
        "missing": [] if answer["allowed"] else lacking,
        "tree": None,
    }


def explained(decision: Decision, explanation: Explanation) -> dict[str, Any]:
    """Return a decision with what led to it; the decision is what counts."""
    agrees = explanation.tree.allowed is decision.allowed
    ways = explanation.shown_paths() if decision.allowed and agrees else []
    lacking = [] if decision.allowed else explanation.missing()
    if decision.reason in _NOT_NOW:
        lacking = [_NOT_NOW[decision.reason]]
    answer: dict[str, Any] = shown(decision)
    if ways and decision.reason is Reason.ALLOWED:
        answer["reason"] = ways[0]["kind"]
    return {
        **answer,
        "paths": ways,
        "missing": lacking[:_MAX_MISSING],
        "tree": shown_tree(explanation.tree),
        "complete": explanation.is_complete and agrees and len(lacking) <= _MAX_MISSING,
    }
