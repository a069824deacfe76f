"""Who may open an account, and what a new member starts with.

Passwords are not here: hooks never see them. Whether a name is free is Kratos' to say.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from policies.authority import Role
from policies.decisions import Allow, Decision, Deny, Reason
from policies.email_addresses import refuse_email
from policies.usernames import refuse_username

LONGEST_NAME = 100
LONGEST_DISPLAY_NAME = 50

# The specification allows any white space; a line break in a name would only deceive.
_DISPLAY_NAME = re.compile(r"[a-zA-Z0-9 ._-]+")
# Control, surrogate and private characters, line separators, and invisible ones such as those
# that turn the direction of text; some names need the two joiners.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")

NOTIFICATIONS: Mapping[str, bool] = MappingProxyType({"email": True, "push": False, "sms": False})
PRIVACY: Mapping[str, bool] = MappingProxyType(
    {"show_email": False, "show_activity": True, "allow_messages": True}
)


_USERNAME_TAKEN = Reason(
    "username_taken", "This username is taken. Please choose another one.", "#/traits/username"
)


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """The operator's choices, as settings give them."""

    blocked_emails: frozenset[str] = frozenset()
    blocked_email_domains: frozenset[str] = frozenset()
    disposable_email_domains: frozenset[str] = frozenset()
    reserved_usernames: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RegistrationAttempt:
    """The traits of a person who wants an account; "" for those that are not given."""

    email: str
    username: str
    first_name: str = ""
    last_name: str = ""
    display_name: str = ""
    pending_email: str = ""


@dataclass(frozen=True, slots=True)
class NewMember:
    """What a row about somebody who has just registered holds.

    The state comes from `policies.verification`; dates and counts are the shell's. Preferences
    are the specification's, its names in our spelling.
    """

    email: str
    username: str
    first_name: str
    last_name: str
    display_name: str
    role: Role
    bio: str
    is_public: bool
    notifications: Mapping[str, bool]
    privacy: Mapping[str, bool]


def decide_registration(attempt: RegistrationAttempt, rules: RegistrationRules) -> Decision:
    """Decide whether `attempt` may become an account.

    All reasons are collected, each with its field, so that the form is put right in one go.
    """
    reasons = tuple(_reasons_against(attempt, rules))
    return Deny(reasons) if reasons else Allow()


def decide_username_free(*, is_taken: bool) -> Decision:
    """Decide whether a name may be somebody's, where Kratos would ask for a login in its place.

    With a provider Kratos takes every name that is taken for a sign that the account is the
    person's own. For an e-mail address that is so; a username two strangers may have thought of.
    """
    return Deny((_USERNAME_TAKEN,)) if is_taken else Allow()


def decide_change_of_traits(
    before: RegistrationAttempt, after: RegistrationAttempt, rules: RegistrationRules
) -> Decision:
    """Decide whether a member may change traits: the rules of a registration, for what changes.

    What stays as it was is not judged again: a rule that came later locks nobody out. What a new
    e-mail address leads to, `policies.email_changes` decides; `pending_email` may be emptied.
    """
    unchanged = {
        f"#/traits/{trait.name}"
        for trait in fields(RegistrationAttempt)
        if getattr(before, trait.name) == getattr(after, trait.name)
    }
    reasons = tuple(
        reason for reason in _reasons_against(after, rules) if reason.pointer not in unchanged
    )
    return Deny(reasons) if reasons else Allow()


def decide_profile(display_name: str) -> Decision:
    """Decide whether somebody who came by another provider has a complete profile with this."""
    if not display_name.strip():
        text = "Choose the name that others see."
        return Deny((Reason("display_name_missing", text, "#/display_name"),))
    reason = refuse_display_name(display_name.strip())
    return Allow() if reason is None else Deny((replace(reason, pointer="#/display_name"),))


def new_member(attempt: RegistrationAttempt) -> NewMember:
    """Give the row of a person whose registration Kratos has stored.

    Takes any traits: an admin may have made the identity without asking `decide_registration`.
    """
    return NewMember(
        email=attempt.email.lower(),
        username=attempt.username,
        first_name=attempt.first_name.strip(),
        last_name=attempt.last_name.strip(),
        display_name=attempt.display_name.strip() or attempt.username,
        role=Role.USER,
        bio="",
        is_public=True,
        notifications=NOTIFICATIONS,
        privacy=PRIVACY,
    )


def _reasons_against(attempt: RegistrationAttempt, rules: RegistrationRules) -> Iterator[Reason]:
    found = (
        refuse_email(
            attempt.email,
            blocked=rules.blocked_emails,
            blocked_domains=rules.blocked_email_domains,
            disposable_domains=rules.disposable_email_domains,
        ),
        refuse_username(attempt.username, rules.reserved_usernames),
        _refuse_name(attempt.first_name, "first_name", "first name"),
        _refuse_name(attempt.last_name, "last_name", "last name"),
        refuse_display_name(attempt.display_name),
        _refuse_pending_email(attempt.pending_email),
    )
    yield from (reason for reason in found if reason is not None)


def refuse_display_name(name: str) -> Reason | None:
    """Tell why nobody may be shown by this name; a blank one stands for the username."""
    pointer = "#/traits/display_name"
    if len(name) > LONGEST_DISPLAY_NAME:
        text = f"Use at most {LONGEST_DISPLAY_NAME} characters for the display name."
        return Reason("display_name_length", text, pointer)
    if name and not _DISPLAY_NAME.fullmatch(name):
        text = "Use only the letters a to z, digits, spaces, dots, _ and - in the display name."
        return Reason("display_name_characters", text, pointer)
    return None


def _refuse_pending_email(email: str) -> Reason | None:
    """Kratos keeps every address of an identity from everybody else, this one unproven too."""
    if not email:
        return None
    return Reason("pending_email", "This address cannot be set by hand.", "#/traits/pending_email")


def _refuse_name(name: str, trait: str, words: str) -> Reason | None:
    if len(name) > LONGEST_NAME:
        text = f"Use at most {LONGEST_NAME} characters for the {words}."
        return Reason(f"{trait}_too_long", text, f"#/traits/{trait}")
    if not all(_is_printable(character) for character in name):
        text = f"Remove invisible characters from the {words}."
        return Reason(f"{trait}_characters", text, f"#/traits/{trait}")
    return None


def _is_printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE or character in _JOINERS
