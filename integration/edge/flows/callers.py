"""Asks Kratos whose session a submit comes with, once a submit."""

from uuid import UUID

from integration.edge.asgi import header
from integration.edge.flows.caller import Caller, read_caller
from integration.edge.flows.guards import Submit
from integration.edge.forwarding import Forwarder
from integration.edge.problems import UPSTREAM_BROKEN, RefusedError
from integration.edge.routes import Upstream
from integration.edge.sessions import member_status


class Callers:
    """Asks `whoami` with a submit's own credentials."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    async def of(self, submit: Submit) -> Caller | None:
        """Return who sends this, or None: nobody with a session.

        Raises:
            RefusedError: Kratos does not say.
        """
        if not submit.is_caller_known:
            submit.caller = await self._ask(submit)
            submit.is_caller_known = True
        return submit.caller

    async def _ask(self, submit: Submit) -> Caller | None:
        answer = await self._forwarder.fetch(
            Upstream.KRATOS_PUBLIC, "/sessions/whoami", "", submit.request
        )
        if answer.status >= 500:
            raise RefusedError(UPSTREAM_BROKEN)
        try:
            known = UUID(header(answer.headers, member_status.IDENTITY_HEADER) or "")
        except ValueError:
            return None
        return read_caller(known, answer.body)
