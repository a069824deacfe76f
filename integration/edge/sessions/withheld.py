"""Sessions that Kratos gives to who may not have one: a registration that proves no address.

With an OpenID provider's word for the address, registering is logging in. Without it, Kratos gives
the session all the same (`hook: session` has no condition); it ends here before anybody has it, or
it would come alive when the owner of the address confirms it. Source: the running server, v1.3.1.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any

import structlog

from integration.edge.asgi import Answer, header
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcomes import first_document
from integration.edge.flows.submit_answers import SESSION_COOKIE, new_credentials
from integration.edge.forwarding import Forwarder
from integration.edge.problems import UPSTREAM_BROKEN, Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.sessions.current import Sessions
from integration.edge.sessions.known_session import read_session
from integration.edge.sessions.member_status import IDENTITY_HEADER
from integration.edge.sessions.rows import SessionRows
from integration.edge.sessions.standings import SessionStandings
from policies.lifecycle import Status, may_have_session

log = structlog.get_logger()

_REASON = "not_allowed"
_NOT_ALLOWED = Refusal(
    403, "session_not_allowed", "There is no session for this account. Log in to read why."
)
# The person waits for this.
_LONGEST_SECONDS = 1.0


class WithheldSessions:
    """Looks at what providers' callbacks and registrations are answered with."""

    def __init__(
        self,
        forwarder: Forwarder,
        sessions: Sessions,
        standings: SessionStandings,
        rows: SessionRows,
    ) -> None:
        self._forwarder = forwarder
        self._sessions = sessions
        self._standings = standings
        self._rows = rows

    async def shown(self, submit: Submit, answer: Answer) -> Answer:
        """Return the answer, without a session that its member may not have.

        Where that cannot be said it stays: without our tables nobody registers, and no session
        is worth anything.

        Raises:
            RefusedError: an app asked for a session that it may not have; or ending one failed.
        """
        registers = submit.flow == "registration" or submit.is_callback
        if not registers and not submit.is_token_exchange:
            return answer
        credentials = new_credentials(answer)
        if not credentials:
            return answer
        request = replace(submit.request, headers=credentials)
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                is_allowed = await self._is_allowed(request)
        except (RefusedError, TimeoutError) as error:
            log.warning("session_not_judged", error=type(error).__name__)
            return answer
        if is_allowed:
            return answer
        await self._end(request)
        if submit.is_token_exchange:
            raise RefusedError(_NOT_ALLOWED)
        return _without_session(answer)

    async def _is_allowed(self, request: Request) -> bool:
        answer = await self._forwarder.fetch(
            Upstream.KRATOS_PUBLIC, "/sessions/whoami", "", request
        )
        if answer.status >= 500:
            raise RefusedError(UPSTREAM_BROKEN)
        shown = read_session(header(answer.headers, IDENTITY_HEADER), answer.body)
        if answer.status != 200 or shown is None:
            return False
        standing = await self._standings.of(shown.session_id, shown.identity_id)
        return standing is not None and may_have_session(Status(standing.status))

    async def _end(self, request: Request) -> None:
        """Write the session down and end it, at Kratos too."""
        look = await self._sessions.look(request)
        shown = read_session(header(look.answer.headers, IDENTITY_HEADER), look.answer.body)
        if look.answer.status == 200 and shown is not None:
            await self._rows.end_at_kratos(shown.session_id, reason=_REASON)


def _without_session(answer: Answer) -> Answer:
    headers = [field for field in answer.headers if not _is_session_cookie(*field)]
    document = first_document(answer.body)
    if document is None:
        return Answer(answer.status, headers, answer.body)
    kept = {name: value for name, value in document.items() if not name.startswith("session")}
    steps = kept.get("continue_with")
    if isinstance(steps, list):
        kept["continue_with"] = [step for step in steps if not _gives_token(step)]
    return Answer(answer.status, headers, json.dumps(kept, separators=(",", ":")).encode())


def _is_session_cookie(name: bytes, value: bytes) -> bool:
    return name == b"set-cookie" and value.startswith(f"{SESSION_COOKIE}=".encode())


def _gives_token(step: Any) -> bool:
    return isinstance(step, dict) and step.get("action") == "set_ory_session_token"
