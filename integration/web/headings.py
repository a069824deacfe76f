"""What each flow's page is called, says first, and links to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from integration.ory.kratos_flows import Flow, FlowKind
from integration.web.addresses import with_return_to

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Heading:
    """The top of a page.

    Attributes:
        submit: What the sending button says; None leaves that to Kratos and `words`.
        labels: What fields are called on this page, by name, where `words` has another.
    """

    title: str
    lead: str = ""
    submit: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


_START = {
    FlowKind.LOGIN: Heading("Log in"),
    FlowKind.REGISTRATION: Heading(
        "Create your account",
        "You get a mail with a code to confirm your address.",
        "Create my account",
    ),
    FlowKind.VERIFICATION: Heading(
        "Confirm your address", "We send a code to your e-mail address.", "Send me a code"
    ),
    FlowKind.RECOVERY: Heading(
        "Get back into your account",
        "Tell us your e-mail address. We send a code that lets you choose a new password.",
        "Send me a code",
    ),
    FlowKind.SETTINGS: Heading("Account settings"),
}
SECURITY = Heading(
    "Security",
    "How you log in, and what keeps others from it.",
    labels={"password": "New password"},
)
ENROL = (
    "Your role asks for a second step at every login. Turn an authenticator app or backup codes on "
    "here; until then we mail you a code each time."
)
_MAIL_SENT = {
    FlowKind.LOGIN: Heading("Enter the code", submit="Continue"),
    FlowKind.VERIFICATION: Heading(
        "Confirm your address",
        "Enter the code from the mail, or open the link in it.",
        "Confirm my address",
    ),
    FlowKind.RECOVERY: Heading("Enter the code", submit="Continue"),
}
_CODE_FILLED_IN = Heading(
    "Confirm your address",
    "The code from the mail is filled in. Press the button and your address is confirmed.",
    "Confirm my address",
)
_CONFIRM_LOGIN = Heading("Confirm that it is you")


def of(kind: FlowKind, flow: Flow, *, has_code: bool = False) -> Heading:
    """Return the heading for where a flow stands.

    Args:
        has_code: The person came by the link of a mail, with its code.
    """
    if has_code and kind is FlowKind.VERIFICATION and flow.state == "sent_email":
        return _CODE_FILLED_IN
    if flow.state == "sent_email" and kind in _MAIL_SENT:
        return _MAIL_SENT[kind]
    if kind is FlowKind.LOGIN and (flow.refresh or flow.requested_aal == "aal2"):
        return _CONFIRM_LOGIN
    return _START[kind]


def links(kind: FlowKind, flow: Flow) -> tuple[tuple[str, str], ...]:
    """Return what else a person may have come for: target and words of each link."""
    back = flow.return_to or ""
    login = (with_return_to("/login", back), "Log in")
    if kind is FlowKind.REGISTRATION:
        return ((login[0], "I have an account already"),)
    if kind is FlowKind.RECOVERY:
        return (login,)
    if kind is FlowKind.VERIFICATION:
        more = (("/verification", "Send me a new code"),) if flow.state == "sent_email" else ()
        return (*more, login)
    if kind is FlowKind.LOGIN:
        return _login_links(flow, back)
    return ()


def account_links(*, is_security: bool) -> tuple[tuple[str, str], ...]:
    """Return where else a person goes from a page of the account."""
    other = ("/account/settings", "Profile and address")
    if not is_security:
        other = ("/account/security", "Password and second step")
    return (other, ("/", "Start page"), ("/logout", "Log out"))


def _login_links(flow: Flow, back: str) -> tuple[tuple[str, str], ...]:
    if flow.refresh or flow.requested_aal == "aal2":
        return (("/logout", "Log out instead"),)
    return (
        (with_return_to("/registration", back), "Create an account"),
        ("/recovery", "I forgot my password"),
    )
