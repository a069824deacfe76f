"""Second-factor flows of Kratos, made to ask what our tables say has to be asked.

A member with a factor of its own is not offered the mailed code: whoever reads the mail may be
who got the password too. A session that is held although it had a second factor is asked again.
"""

import json
from typing import Any
from urllib.parse import parse_qs

from integration.edge.asgi import Answer
from integration.edge.flows.guards import Submit
from integration.edge.problems import Refusal
from integration.edge.requests import Request
from integration.edge.sessions.current import Sessions
from policies import step_up

_STARTS = frozenset({"/self-service/login/api", "/self-service/login/browser"})
_LOGIN = "/self-service/login"
_SECOND = b'"requested_aal":"aal2"'
_NO_MAILED_CODE = Refusal(
    403,
    "mailed_code_not_accepted",
    "Use your authenticator app or a look-up code: this account has a second factor of its own.",
)


class SecondFactorFlows:
    """Looks at login flows that ask for a second factor."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def query(self, request: Request) -> str | None:
        """Return the query a flow is started with instead of the request's own; None: that.

        Raises:
            RefusedError: whose session it is cannot be said.
        """
        if request.path not in _STARTS or "aal=aal2" not in request.query:
            return None
        given = parse_qs(request.query)
        if given.get("aal") != ["aal2"] or "refresh" in given:
            return None
        known = await self._sessions.of(request)
        if known is None or not known.is_held or known.aal != step_up.AAL2:
            return None
        # Else Kratos answers that this session has all that could be asked for.
        return f"{request.query}&refresh=true"

    async def shown(self, request: Request, answer: Answer) -> Answer:
        """Return an answer without the mailed code where it does not count.

        Raises:
            RefusedError: as `query`.
        """
        if not request.path.startswith(_LOGIN) or _SECOND not in answer.body:
            return answer
        if not await self._has_own(request):
            return answer
        body = _without_code(answer.body)
        return answer if body is None else Answer(answer.status, answer.headers, body)

    async def before(self, submit: Submit) -> Refusal | None:
        """Refuse a mailed code as second factor of who has another: a guard of submits.

        The code is no first factor here, so that every login by code is a second one.
        """
        fields = submit.fields
        is_code = submit.method == step_up.MAILED_CODE or "code" in fields
        if submit.flow != "login" or not is_code:
            return None
        return _NO_MAILED_CODE if await self._has_own(submit.request) else None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        return None

    async def _has_own(self, request: Request) -> bool:
        known = await self._sessions.of(request)
        return known is not None and not step_up.takes_mailed_code(
            has_second_factor=known.has_second_factor
        )


def _without_code(body: bytes) -> bytes | None:
    """Return a flow without the fields of the mailed code; None when it is no such flow."""
    try:
        flow: Any = json.loads(body)
        nodes = flow["ui"]["nodes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if flow.get("requested_aal") != step_up.AAL2 or not isinstance(nodes, list):
        return None
    flow["ui"]["nodes"] = [node for node in nodes if node.get("group") != "code"]
    return json.dumps(flow, separators=(",", ":")).encode()
