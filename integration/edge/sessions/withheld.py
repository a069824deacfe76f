"""Sessions that Kratos gives to who may not have one: a registration that proves no address.

With an OpenID provider's word for the address, registering is logging in. Without it, Kratos gives
the session all the same (`hook: session` has no condition); it ends here before anybody has it, or
it would come alive when the owner of the address confirms it. Source: the running server, v1.3.1.
"""

import json
from dataclasses import replace
from typing import Any

from integration.edge.asgi import Answer
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcomes import first_document
from integration.edge.flows.submit_answers import SESSION_COOKIE, new_credentials
from integration.edge.problems import Refusal, RefusedError
from integration.edge.sessions.current import Sessions
from integration.edge.sessions.known_session import read_session
from integration.edge.sessions.rows import SessionRows

_REASON = "not_allowed"
_ENDED = Refusal(404, "session_ended", "The session of these codes has ended.")
_NOT_ACTIVE = Refusal(
    403, "account_not_active", "This account cannot be used yet. Log in to read why."
)


class WithheldSessions:
    """Looks at what providers' callbacks and registrations are answered with."""

    def __init__(self, sessions: Sessions, rows: SessionRows) -> None:
        self._sessions = sessions
        self._rows = rows

    async def shown(self, submit: Submit, answer: Answer) -> Answer:
        """Return the answer, without a session that its member may not have.

        Raises:
            RefusedError: whether it may cannot be said; or it may not, and a session was all
                that was asked for.
        """
        registers = submit.flow == "registration" or submit.is_callback
        if not registers and not submit.is_token_exchange:
            return answer
        credentials = new_credentials(answer)
        if not credentials:
            return answer
        look = await self._sessions.look(replace(submit.request, headers=credentials))
        if look.known is not None:
            return answer
        shown = read_session(None, look.answer.body)
        if shown is not None:
            await self._rows.end_at_kratos(shown.session_id, reason=_REASON)
        if submit.is_token_exchange:
            raise RefusedError(_NOT_ACTIVE if look.answer.status == 200 else _ENDED)
        return _without_session(answer)


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
