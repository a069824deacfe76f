"""A session too old to change a password: the edge asks for a login before Kratos is told.

Kratos would keep the new password in clear text (its continuity container) until the person
comes back. Source: the running server, v1.3.1, whose answers these are.
"""

from datetime import datetime, timedelta
from urllib.parse import quote

from integration.edge.asgi import Answer, RawHeaders
from integration.edge.flows.guards import Submit
from integration.edge.problems import Refusal, json_answer
from policies.step_up import PRIVILEGED_FOR

# The longest that may pass between our look at the session and Kratos': else both would differ.
_MARGIN = timedelta(seconds=45)
_CODE = "session_refresh_required"
_TEXT = (
    "The login session is too old and thus not allowed to update these fields. "
    "Please re-authenticate."
)


def is_too_old(authenticated_at: datetime | None, now: datetime) -> bool:
    """Tell whether Kratos would ask for a new login, or might by the time it is asked."""
    return authenticated_at is None or now - authenticated_at > PRIVILEGED_FOR - _MARGIN


def asked_for(submit: Submit, public_url: str) -> Refusal:
    """Return the refusal that leads the person through a login and back to the form."""
    base = public_url.rstrip("/")
    back = quote(f"{base}/account/settings?flow={submit.flow_id}", safe="")
    location = f"{base}/self-service/login/browser?refresh=true&return_to={back}"
    return Refusal(403, _CODE, _TEXT, instead=_answer(submit, location))


def _answer(submit: Submit, location: str) -> Answer:
    if not _wants_json(submit):
        headers: RawHeaders = [(b"location", location.encode()), (b"cache-control", b"no-store")]
        return Answer(303, headers, b"")
    error = {
        "id": _CODE,
        "code": 403,
        "status": "Forbidden",
        "reason": _TEXT,
        "message": "The requested action was forbidden",
    }
    return json_answer(403, {"error": error, "redirect_browser_to": location})


def _wants_json(submit: Submit) -> bool:
    """Native clients always get JSON; a browser when it sends or asks for it."""
    accept = submit.request.header(b"accept") or ""
    return (
        submit.is_json
        or accept.strip().lower().startswith("application/json")
        or submit.request.header(b"cookie") is None
    )
