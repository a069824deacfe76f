"""Which usernames may be taken. Uniqueness is Kratos' matter."""

import re

from policies.decisions import Reason
from policies.reserved_usernames import RESERVED_NAMES, STAFF_NAMES

MIN_LENGTH = 3
MAX_LENGTH = 30

_POINTER = "#/traits/username"
_ALLOWED = re.compile(r"[a-zA-Z0-9_-]+")
_DIGITS = "0123456789"

# Marks that pass for one another in common fonts. ASCII is all there is to compare: every other
# alphabet is refused before, which makes Unicode look-alikes and its normal forms moot.
_LOOKS_LIKE = str.maketrans("013456789i", "oleasgtbgl")
_PAIRS_LOOK_LIKE = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def refuse_username(username: str, reserved: frozenset[str] = frozenset()) -> Reason | None:
    """Tell why nobody may take this name, or None when it may be taken.

    Args:
        reserved: Names the operator keeps back, besides ours; case, `_` and `-` do not matter.

    Returns:
        A reason with one of the codes `username_too_short`, `username_too_long` (3 to 30
        characters), `username_characters`, `username_reserved`, `username_lookalike`.
    """
    # Length first: no other check then has to read a name that never ends.
    if len(username) > MAX_LENGTH:
        return _reason("username_too_long", "Choose a username of at most 30 characters.")
    if username and not username.isascii():
        return _reason(
            "username_characters",
            "Use only the plain letters a to z, digits, _ and - in the username. Letters of other "
            "alphabets can look the same and are refused.",
        )
    if len(username) < MIN_LENGTH:
        return _reason("username_too_short", "Choose a username of at least 3 characters.")
    if not _ALLOWED.fullmatch(username):
        return _reason("username_characters", "Use only letters, digits, _ and - in the username.")
    name = normal_form(username)
    if name in RESERVED_NAMES or name in {normal_form(own) for own in reserved}:
        return _reason("username_reserved", "This username is reserved. Choose another one.")
    if looks_like_staff(username):
        return _reason(
            "username_lookalike", "This username looks like one of our own. Choose another one."
        )
    return None


def normal_form(username: str) -> str:
    """Give what two names share that differ only in case, `_` and `-`."""
    return username.lower().replace("_", "").replace("-", "")


def skeleton(username: str) -> str:
    """Give what two ASCII names share that look alike: `adm1n`, `4DMIN` and `ad_rnin` do."""
    form = normal_form(username).translate(_LOOKS_LIKE)
    for pair, letter in _PAIRS_LOOK_LIKE:
        form = form.replace(pair, letter)
    return form


def looks_like_staff(username: str) -> bool:
    """Tell whether a reader may take this name for one of ours, a number behind it or not."""
    form = normal_form(username)
    # A digit at the end is a number or a letter in disguise: `mod11` is `mod`, `moc11` too.
    shortest = len(form.rstrip(_DIGITS))
    return any(skeleton(form[:end]) in _STAFF_SKELETONS for end in range(shortest, len(form) + 1))


def _reason(code: str, text: str) -> Reason:
    return Reason(code, text, _POINTER)


_STAFF_SKELETONS = frozenset(skeleton(name) for name in STAFF_NAMES)
