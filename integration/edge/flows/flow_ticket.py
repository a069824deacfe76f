"""Gives a browser whose registration or login succeeded the cookie that shows its progress."""

from urllib.parse import urlsplit

from integration import flow_tickets
from integration.edge.asgi import Answer, header
from integration.edge.flows.guards import Submit
from integration.edge.flows.submit_outcomes import Outcome
from integration.settings import Settings

_NEXT_PAGE = "/verification"


class FlowTicket:
    """Adds the cookie. Never for a native client: Kratos refuses those that send cookies."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret.get_secret_value()
        self._secure = "; Secure" if settings.public_url.scheme == "https" else ""

    def added(self, submit: Submit, answer: Answer) -> Answer:
        """Return the answer, with the cookie where it belongs."""
        is_browser = header(submit.request.headers, b"cookie") is not None
        if submit.flow_id is None or not is_browser or not _is_success(submit, answer):
            return answer
        cookie = (
            f"{flow_tickets.COOKIE}={flow_tickets.issue(self._secret, submit.flow_id)}"
            f"; Path={flow_tickets.PATH}; Max-Age={flow_tickets.LIFETIME_SECONDS}"
            f"; HttpOnly; SameSite=Lax{self._secure}"
        )
        return Answer(
            answer.status, [*answer.headers, (b"set-cookie", cookie.encode())], answer.body
        )


def _is_success(submit: Submit, answer: Answer) -> bool:
    """Kratos accepted the submit, CSRF token included; a form is then sent to the next page."""
    if submit.flow == "login" or submit.is_callback:
        return submit.outcome is not None and submit.outcome.outcome is Outcome.SUCCESS
    if submit.flow != "registration":
        return False
    if answer.status == 303:
        return urlsplit(header(answer.headers, b"location") or "").path == _NEXT_PAGE
    return answer.status == 200
