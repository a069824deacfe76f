"""THE PLACE WHERE GUARDS PLUG IN: the chain every self-service submit passes.

A guard sees a submit before Kratos does and may refuse it; afterwards it sees the answer.
Limits, lock-out and password rules belong here. To add one, write a class with `before` and
`after` and name it in `make_edge` (`app.py`): the order there is the order of asking.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.outcomes import flow_id_of
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request

_FLOW = re.compile(r"/self-service/(login|registration|settings|recovery|verification)\Z")


@dataclass(frozen=True, slots=True)
class Submit:
    """One submit of a self-service flow, read the way Kratos reads it.

    Attributes:
        flow: `login`, `registration`, `settings`, `recovery`, `verification`; else empty.
        flow_id: From the address; None when there is none, or none that can be one.
        fields: Of the body. Of a form: text, with `traits.email` as a name.
    """

    flow: str
    flow_id: UUID | None
    fields: Mapping[str, Any]
    request: Request

    @classmethod
    def of(cls, request: Request, fields: Mapping[str, Any]) -> "Submit":
        found = _FLOW.match(request.path)
        return cls(found[1] if found else "", flow_id_of(request.query), fields, request)


class Guard(Protocol):
    """One rule on submits."""

    async def before(self, submit: Submit) -> Refusal | None:
        """Return why Kratos is not asked, or None."""

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        """See how it ended; called once for each `before` that did not refuse.

        Args:
            answer: Kratos' answer as it came; None when a later guard refused or nobody
                answered. Must not raise, and not keep the person waiting.
        """


class GuardChain:
    """Asks guards in order, tells them in reverse how it ended."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)

    async def around(self, submit: Submit, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what `ask` returns, if no guard refuses.

        Raises:
            RefusedError: a guard refused, or `ask` raised it.
        """
        passed: list[Guard] = []
        answer: Answer | None = None
        try:
            for guard in self._guards:
                refusal = await guard.before(submit)
                if refusal is not None:
                    raise RefusedError(refusal)
                passed.append(guard)
            answer = await ask()
            return answer
        finally:
            for guard in reversed(passed):
                await guard.after(submit, answer)
