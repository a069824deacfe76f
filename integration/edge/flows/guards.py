"""THE PLACE WHERE GUARDS PLUG IN: the chain every self-service submit passes.

A guard sees a submit before Kratos does and may refuse it; afterwards it sees the answer.
Limits, lock-out and password rules belong here. To add one, write a class with `before` and
`after` and name it in `make_edge` (`assembly.py`): the order there is the order of asking. How a
submit ended, `OutcomeReader.of` tells, once for all guards.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

from integration.edge.asgi import Answer
from integration.edge.flows.caller import Caller
from integration.edge.flows.oidc_callback import is_oidc_callback
from integration.edge.flows.outcomes import flow_id_of
from integration.edge.flows.submit_outcomes import SubmitOutcome
from integration.edge.flows.submit_reading import identifier_of, method_of
from integration.edge.passwords.attempts import PasswordAttempt
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request

_TOKEN_EXCHANGE = "/sessions/token-exchange"  # noqa: S105 - a path
_BROWSER_COOKIES = ("csrf_token", "ory_kratos_session")
_FLOW = re.compile(r"/self-service/(login|registration|settings|recovery|verification)\Z")


@dataclass(slots=True, eq=False)
class Submit:
    """One submit of a self-service flow, read the way Kratos reads it.

    Attributes:
        flow: `login`, `registration`, `settings`, `recovery`, `verification`; else empty: of a
            provider's callback only the answer tells.
        flow_id: From the address; None when there is none, or none that can be one.
        fields: Of the body. Of a form: text, with `traits.email` as a name.
        method: `password`, `code`, `oidc`, `totp`, ...; `unknown`, or empty without any.
        identifier: Whom it names, trimmed and in lower case; None: nobody.
        refusal: Why it went no further, once the edge refused it or nobody answered.
        outcome: How it ended, once somebody asked `OutcomeReader`.
        reading: Held while `OutcomeReader` finds that out.
        shown_flow: The flow that a form's answer leads back to, once it was read for `outcome`.
        device_id: Of the browser, when it proved by its cookie that it was here before.
        fresh_device_id: What the browser is called should it get that cookie with the answer.
        caller: Who sends it, once somebody asked `Callers`; None: nobody with a session.
        password_attempt: Under what its password was judged, once it was.
    """

    flow: str
    flow_id: UUID | None
    fields: Mapping[str, Any]
    request: Request
    method: str = field(init=False)
    identifier: str | None = field(init=False)
    refusal: Refusal | None = None
    outcome: SubmitOutcome | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    shown_flow: bytes | None = None
    device_id: UUID | None = None
    fresh_device_id: UUID = field(default_factory=uuid4)
    caller: Caller | None = None
    is_caller_known: bool = False
    password_attempt: PasswordAttempt | None = None

    def __post_init__(self) -> None:
        by_provider = self.is_callback or self.is_token_exchange
        self.method = "oidc" if by_provider else method_of(self.fields)
        self.identifier = identifier_of(self.fields)

    @classmethod
    def of(cls, request: Request, fields: Mapping[str, Any]) -> "Submit":
        found = _FLOW.match(request.path)
        return cls(found[1] if found else "", flow_id_of(request.query), fields, request)

    @property
    def is_callback(self) -> bool:
        """Whether an OpenID provider sends the person back with this."""
        return is_oidc_callback(self.request.path)

    @property
    def is_token_exchange(self) -> bool:
        """Whether a native client fetches the session that a provider's callback made."""
        return self.request.path == _TOKEN_EXCHANGE

    @property
    def is_of_browser(self) -> bool:
        """Whether Kratos' own cookie came along; native flows with cookies it refuses."""
        cookies = (self.request.header(b"cookie") or "").split(";")
        return any(pair.strip().startswith(_BROWSER_COOKIES) for pair in cookies)

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON, and not a form."""
        kind = self.request.header(b"content-type") or ""
        return kind.lower().startswith("application/json")


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


class SideBySide:
    """Guards that are asked one after the other, and told at the same time how it ended.

    For those whose endings wait for different servers. The last one's begins first.
    """

    def __init__(self, *guards: Guard) -> None:
        self._guards = guards

    async def before(self, submit: Submit) -> Refusal | None:
        """Ask in order; what passed before a refusal is told of it."""
        for number, guard in enumerate(self._guards):
            refusal = await guard.before(submit)
            if refusal is not None:
                submit.refusal = refusal
                await self._tell(self._guards[:number], submit, None)
                return refusal
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        await self._tell(self._guards, submit, answer)

    async def _tell(self, guards: Sequence[Guard], submit: Submit, answer: Answer | None) -> None:
        told = []
        for guard in reversed(guards[1:]):
            told.append(asyncio.create_task(guard.after(submit, answer)))
            # What it asks is on its way before the next one begins to compute.
            await asyncio.sleep(0)
        for guard in guards[:1]:
            await guard.after(submit, answer)
        for each in told:
            await each


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
            await self._before(submit, passed)
            answer = await ask()
        except RefusedError as error:
            submit.refusal = error.refusal
            raise
        finally:
            for guard in reversed(passed):
                await guard.after(submit, answer)
        return answer

    async def _before(self, submit: Submit, passed: list[Guard]) -> None:
        for guard in self._guards:
            refusal = await guard.before(submit)
            if refusal is not None:
                raise RefusedError(refusal)
            passed.append(guard)
