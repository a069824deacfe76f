"""A session too old to change an e-mail address: the edge asks for a login before Kratos is told.

Kratos would keep the wish, and carry it out by a GET when the person comes back: past the lock of
the identity, and for whoever opens the link. Source: the running server, v1.3.1.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integration.edge.asgi import Answer
from integration.edge.flows import reauthentication
from integration.edge.flows.callers import Callers
from integration.edge.flows.guards import Submit
from integration.edge.forwarding import Forwarder
from integration.edge.problems import Refusal


class EmailGuard:
    """Looks at settings submits that bring another e-mail address."""

    def __init__(self, forwarder: Forwarder, *, public_url: str) -> None:
        self._callers = Callers(forwarder)
        self._public_url = public_url

    async def before(self, submit: Submit) -> Refusal | None:
        email = _email_in(submit.fields)
        if submit.flow != "settings" or email is None:
            return None
        caller = await self._callers.of(submit)
        if caller is None or email == str(caller.traits.get("email", "")).lower():
            return None
        if reauthentication.is_too_old(caller.authenticated_at, datetime.now(UTC)):
            return reauthentication.asked_for(submit, self._public_url)
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        """Nothing follows."""


def _email_in(fields: Mapping[str, Any]) -> str | None:
    """Return the address a submit brings, JSON (`traits: {…}`) or form (`traits.email`)."""
    traits = fields.get("traits")
    given = traits.get("email") if isinstance(traits, dict) else fields.get("traits.email")
    return given.strip().lower() if isinstance(given, str) else None
