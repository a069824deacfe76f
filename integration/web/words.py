"""What fields, buttons and messages are called on our pages.

Kratos' own words are used wherever there is no better one here. Numbers are message ids of Kratos
(Source: Ory Kratos v1.3.1, `text/id.go`, as seen in its flows).
"""

from integration.ory.kratos_flows import Message

_FIRST_FIELDS = (
    "traits.email",
    "identifier",
    "email",
    "traits.username",
    "traits.first_name",
    "traits.last_name",
    "traits.display_name",
    "password",
    "code",
)
_LABELS = {
    "identifier": "E-mail address or username",
    "email": "E-mail address",
    "password": "Password",
    "code": "Code from the mail",
    "totp_code": "Code from your authenticator app",
    "lookup_secret": "Backup code",
}
_HINTS = {
    "traits.username": "3 to 30 letters, digits, _ or -.",
    "code": "Six digits.",
    "totp_code": "Six digits.",
}
_AUTOCOMPLETE = {
    "identifier": "username",
    "traits.username": "username",
    "traits.first_name": "given-name",
    "traits.last_name": "family-name",
    "traits.display_name": "nickname",
    "email": "email",
    "code": "one-time-code",
    "totp_code": "one-time-code",
    "lookup_secret": "off",
}
_SECTIONS = {
    "profile": "Profile",
    "password": "Change your password",
    "code": "A code by mail",
    "totp": "Authenticator app",
    "lookup_secret": "Backup codes",
    "oidc": "Other accounts",
}
_LEADS = {
    "totp": "A second step at login: an app on your phone shows a new code every half minute.",
    "lookup_secret": "Each of these lets you log in once when your authenticator app is out of "
    "reach.",
}
_SAVE = 1070003
_SAVES = {
    "profile": "Save profile",
    "password": "Save password",
    "totp": "Turn the app on",
}
_BUTTONS = {
    1010001: "Log in",
    1010009: "Log in with the app",
    1010010: "Log in with a backup code",
    1010022: "Log in",
    1050007: "Show my backup codes",
    1050008: "Make new backup codes",
    1050011: "I have kept them, turn them on",
    1050004: "Remove the authenticator app",
    1050016: "Turn backup codes off",
    1070008: "Send the code again",
}
_CAPTIONS = {
    1050005: "Scan this picture with your authenticator app.",
    1050017: "Or type this key into the app:",
    1050010: "Keep these codes where only you can find them. Each works once.",
}
_TOO_OLD = "This page was open for too long. Nothing was changed: please try again."
_CODE_TOO_OLD = "The code is too old. Ask for a new one here."
_SENTENCES = {
    4000002: "Please fill this in.",
    4000006: "That does not match. Check the e-mail address or username, and the password.",
    4000007: "This e-mail address or username is taken. If the account is yours, log in instead.",
    4000008: "This code is wrong. Your app shows a new one every half minute.",
    4000010: "Your e-mail address is not confirmed yet.",
    4000031: "This password is too much like your e-mail address or username.",
    4000032: "This password is too short. Please use at least 8 characters.",
    4010001: _TOO_OLD,
    4040001: _TOO_OLD,
    4050001: _TOO_OLD,
    4060005: _CODE_TOO_OLD,
    4070005: _CODE_TOO_OLD,
    1010003: "You logged in a while ago, so we ask once more.",
    1010004: "Your account asks for a second step.",
    1010016: "An account with this address is here already. Log in to it, and the other account is "
    "linked: from then on either logs you in.",
    1010014: "We sent a mail with a code. Nothing there? Check the spam folder.",
    1050001: "Your changes are saved.",
    1080002: "Your address is confirmed.",
    1080003: "We sent a mail with a code. Nothing there? Check the spam folder and the spelling.",
    1060001: "You are back in. Please choose a new password now.",
    1060003: "If this address belongs to an account, a mail with a code is on its way.",
    4060001: "This code was used already. Ask for a new one if you still need it.",
    4070006: "This code is wrong, or was used before. Please try again.",
    4060006: "This code is wrong, or was used before. Please try again.",
}
_GENERIC = 4000001
_OF_A_PROVIDER = "OpenID"
_PROVIDER_FAILED = "The other site did not log you in. Please try again, or log in another way."
_PATTERN_REFUSED = 4000004
_ALLOWED = {"traits.username": "Please use only letters, digits, _ and -."}


ENTER_CODE = "Enter the code, or have a new one sent"
CANCEL_CHANGE = "Keep my present address"


def waiting(email: str) -> str:
    """Say what a profile waits for while a new address is not confirmed."""
    return (
        f"You asked to change your e-mail address to {email}. Confirm it with the code that we "
        "sent there; until then your present address stays."
    )


def rank(name: str) -> int:
    """Where a field stands in its form; unknown ones come last, in Kratos' order."""
    return _FIRST_FIELDS.index(name) if name in _FIRST_FIELDS else len(_FIRST_FIELDS)


def label(name: str, given: Message | None) -> str:
    return _LABELS.get(name) or (given.text if given else "") or name


def hint(name: str) -> str:
    return _HINTS.get(name, "")


def autocomplete(name: str) -> str:
    return _AUTOCOMPLETE.get(name, "")


def section(group: str) -> str:
    return _SECTIONS.get(group) or group.replace("_", " ").capitalize()


def lead(group: str) -> str:
    """Say what a section of the settings is for, where its title does not."""
    return _LEADS.get(group, "")


def button(given: Message | None, group: str = "") -> str:
    if given is None:
        return "Continue"
    if given.id == _SAVE and group in _SAVES:
        return _SAVES[group]
    return _BUTTONS.get(given.id) or given.text or "Continue"


def caption(given: Message | None) -> str:
    if given is None:
        return ""
    return _CAPTIONS.get(given.id) or given.text


def sentence(message: Message, field: str = "") -> str:
    """Return a message in plain words.

    Args:
        field: Name of the field it is about, or empty.
    """
    if message.id == _PATTERN_REFUSED:
        return _ALLOWED.get(field, "This has characters that cannot be used here.")
    if message.id == _GENERIC and _OF_A_PROVIDER in message.text:
        return _PROVIDER_FAILED
    return _SENTENCES.get(message.id) or message.text
