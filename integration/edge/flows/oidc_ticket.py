"""Which flow a browser took to a provider: a cookie that comes back with the provider's answer.

Kratos keeps it in `state`, which only Kratos can read. The cookie proves nothing but which flow's
progress is meant.
"""

from http.cookies import CookieError, SimpleCookie
from uuid import UUID

from integration import flow_tickets
from integration.edge.asgi import Answer
from integration.edge.flows import oidc_callback
from integration.edge.flows.guards import Submit
from integration.edge.requests import Request
from integration.settings import Settings

_COOKIE = "kleis_oidc"
# As long as Kratos waits for the answer.
_SECONDS = 1800
_AT_THE_PROVIDER = "browser_location_change_required"


class OidcTicket:
    """Gives the cookie with the way to the provider, and reads it on the way back."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret.get_secret_value()
        self._secure = "; Secure" if settings.public_url.scheme == "https" else ""

    def flow_of(self, request: Request) -> UUID | None:
        """Return the flow that a callback belongs to; None where no cookie of ours says so."""
        try:
            cookie = SimpleCookie(request.header(b"cookie") or "").get(_COOKIE)
        except CookieError:
            return None
        named = "" if cookie is None else cookie.value
        try:
            flow_id = UUID(named.partition(".")[0])
        except ValueError:
            return None
        return flow_id if flow_tickets.shows(self._secret, named, flow_id) else None

    def added(self, submit: Submit, answer: Answer) -> Answer:
        """Return the answer, with the cookie when it sends a browser to a provider."""
        outcome = submit.outcome
        if outcome is None or outcome.code != _AT_THE_PROVIDER or outcome.method != "oidc":
            return answer
        if submit.flow_id is None or not submit.is_of_browser:
            return answer
        cookie = (
            f"{_COOKIE}={flow_tickets.issue(self._secret, submit.flow_id)}"
            f"; Path={oidc_callback.PATH}; Max-Age={_SECONDS}; HttpOnly; SameSite=Lax{self._secure}"
        )
        return Answer(
            answer.status, [*answer.headers, (b"set-cookie", cookie.encode())], answer.body
        )
