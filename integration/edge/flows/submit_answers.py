"""What one answer of Kratos to a submit carries: a verdict, a session, a token."""

from http.cookies import CookieError, SimpleCookie

from integration.edge.asgi import Answer, RawHeaders
from integration.edge.flows.outcomes import first_document, messages_in
from integration.edge.flows.submit_outcomes import (
    Outcome,
    Verdict,
    identity_of,
    is_done,
    of_error,
    of_messages,
    session_of,
)
from integration.edge.requests import Request

SESSION_COOKIE = "ory_kratos_session"
UNREADABLE = Verdict(Outcome.UPSTREAM_ERROR, "outcome_unreadable")


def of_body(body: bytes, flow: str, *, has_session: bool) -> Verdict:
    """Return what the body of an answer, or of a flow that was read, says.

    Args:
        has_session: The answer sets a session cookie.
    """
    document = first_document(body)
    if document is None:
        return UNREADABLE if body else Verdict(Outcome.SUCCESS)
    meaning = of_messages(messages_in(document) or ())
    if meaning is not None:
        return Verdict(*meaning, identity_id=identity_of(document))
    error = document.get("error")
    if isinstance(error, dict):
        verdict = of_error(error)
        # A first login that must be followed by a second factor, and a recovery by a new password.
        went_on = verdict.code == "browser_location_change_required" and (
            has_session or flow == "recovery"
        )
        return Verdict(Outcome.SUCCESS, verdict.code) if went_on else verdict
    if is_done(document):
        return Verdict(
            Outcome.SUCCESS, identity_id=identity_of(document), session=session_of(document)
        )
    return Verdict(Outcome.NEXT_STEP, str(document.get("state") or "") or None)


def callback_flow(body: bytes) -> str:
    """Return what a provider's callback was after all: with a session, a login, whether or not it
    was a registration before; only a registration shows an identity without one."""
    document = first_document(body) or {}
    return "registration" if "identity" in document and "session" not in document else "login"


def session_token(document: dict[str, object]) -> str | None:
    """Return the token that an answer gives a native client, or None."""
    token = document.get("session_token")
    steps = document.get("continue_with")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("action") == "set_ory_session_token":
            token = token or step.get("ory_session_token")
    return token if isinstance(token, str) and token else None


def has_credentials(request: Request) -> bool:
    """Tell whether a request may come with a session."""
    tokens = (request.header(b"x-session-token"), request.header(b"authorization"))
    return any(tokens) or SESSION_COOKIE in (request.header(b"cookie") or "")


def session_cookie(answer: Answer) -> str | None:
    """Return the value of the session cookie that an answer sets, or None."""
    for name, value in answer.headers:
        if name != b"set-cookie" or not value.startswith(SESSION_COOKIE.encode()):
            continue
        try:
            cookie = SimpleCookie(value.decode("latin-1")).get(SESSION_COOKIE)
        except CookieError:
            continue
        if cookie is not None and cookie.value:
            return cookie.value
    return None


def new_credentials(answer: Answer) -> RawHeaders:
    """Return a request's fields with the session that an answer gives; empty when it gives none."""
    cookie = session_cookie(answer)
    if cookie is not None:
        return [(b"cookie", f"{SESSION_COOKIE}={cookie}".encode("latin-1"))]
    token = session_token(first_document(answer.body) or {})
    return [(b"x-session-token", token.encode("latin-1", "ignore"))] if token else []
