"""A session too old to change what one logs in with: asked for a login before Kratos is told.

Kratos would keep the wish to link or unlink a provider, and carry it out by a GET when the person
comes back: past the lock of the identity, and for whoever opens the link. Source: the running
server, v1.3.1, which looks at these two fields whatever the method.
"""

from datetime import UTC, datetime

from integration.edge.asgi import Answer
from integration.edge.flows import reauthentication
from integration.edge.flows.callers import Callers
from integration.edge.flows.guards import Submit
from integration.edge.forwarding import Forwarder
from integration.edge.problems import Refusal


class ConnectionGuard:
    """Looks at settings submits that link or unlink an OpenID provider."""

    def __init__(self, forwarder: Forwarder, *, public_url: str) -> None:
        self._callers = Callers(forwarder)
        self._public_url = public_url

    async def before(self, submit: Submit) -> Refusal | None:
        fields = submit.fields
        if submit.flow != "settings" or not (fields.get("link") or fields.get("unlink")):
            return None
        caller = await self._callers.of(submit)
        if caller is None:
            return None
        if reauthentication.is_too_old(caller.authenticated_at, datetime.now(UTC)):
            return reauthentication.asked_for(submit, self._public_url)
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        """Nothing follows."""
