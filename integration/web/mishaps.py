"""Kratos' errors that have no form to appear in, as plain sentences."""

from dataclasses import dataclass

from integration.ory.kratos_flows import FlowError

_START = ("/", "Start page")
_LOG_IN = ("/login", "Log in")


@dataclass(frozen=True, slots=True)
class Mishap:
    """What to tell a person, and where to go on."""

    title: str
    sentence: str
    links: tuple[tuple[str, str], ...] = (_START,)


_BY_ID = {
    "security_csrf_violation": Mishap(
        "Please start again",
        "We could not tell that this form is yours. It may be too old, or was sent before, or your "
        "browser keeps no cookies. If you have just signed up, look into your mail: it may have "
        "worked.",
        (_LOG_IN, _START),
    ),
    "security_identity_mismatch": Mishap(
        "Please start again", "This page was opened by another account.", (_LOG_IN, _START)
    ),
    "self_service_flow_expired": Mishap(
        "Please start again", "This page was open for too long.", (_LOG_IN, _START)
    ),
    "self_service_flow_return_to_forbidden": Mishap(
        "This link is not allowed",
        "The link you followed asks to send you to a place that is not on our list.",
    ),
    "session_already_available": Mishap("You are logged in", "There is nothing left to do here."),
    "session_inactive": Mishap("Please log in", "This page needs you to be logged in.", (_LOG_IN,)),
    "session_aal1_required": Mishap(
        "Please log in", "This page needs you to be logged in.", (_LOG_IN,)
    ),
    "session_aal2_required": Mishap(
        "One more step", "Please prove with a second step that it is you.", (_LOG_IN,)
    ),
    "session_refresh_required": Mishap(
        "Please log in again",
        "You logged in a while ago. To change this, please prove again that it is you.",
        (("/login?refresh=true", "Log in again"), _START),
    ),
}
_DISABLED = Mishap(
    "This account is closed to logins",
    "It was disabled. If you think this is a mistake, please contact the people who run this site.",
)
_FORGOTTEN = Mishap("Nothing to show", "This error is no longer kept. Please start again.")
_OURS = Mishap("Something went wrong", "The fault is on our side. Please try again in a moment.")
_THEIRS = Mishap("That did not work", "We could not use what was sent. Please start again.")


def of(error: FlowError | None) -> Mishap:
    """Return what to say about an error; None is one that Kratos does not know."""
    if error is None:
        return _FORGOTTEN
    if error.id in _BY_ID:
        return _BY_ID[error.id]
    if error.code == 401 and error.message == "identity is disabled":
        return _DISABLED
    return _OURS if error.code >= 500 else _THEIRS
