"""Which passwords are accepted: two profiles, a list of common ones, and those used before.

Passwords are judged by the edge, the only one of ours that sees them; a hook enforces what it
said (docs/decisions/0011). Sources: the specification's registration rules for `seed`;
NIST SP 800-63B-4, section 3.1.1.2, for `nist`.
"""

import string
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from policies.decisions import Allow, Decision, Deny, Reason

# bcrypt reads no further, and Go's refuses to pretend that it did.
MOST_BYTES = 72
SEED_LEAST = 8
NIST_LEAST_ALONE = 15
NIST_LEAST_WITH_SECOND_FACTOR = 8
# Of zxcvbn's 0 to 4: "safely unguessable: moderate protection from an offline slow hash".
NIST_LEAST_SCORE = 3
REMEMBERED = 5

POINTER = "#/password"
_SHORTEST_NAME = 3
_PADDING = string.digits + string.punctuation + string.whitespace
# Enough to say what is missing in one that is too long anyway.
_LOOKED_AT = 256
_LOOKALIKES = str.maketrans("@4830157$!", "aabeoistsi")


class PasswordProfile(StrEnum):
    """Which rules hold."""

    SEED = "seed"
    NIST = "nist"


@dataclass(frozen=True, slots=True)
class PasswordOwner:
    """Whose password it is to be: what must not be in it.

    Attributes:
        names: First, last and display name; empty ones do not count.
        has_second_factor: The password is not the only thing asked for at login.
    """

    email: str = ""
    username: str = ""
    names: tuple[str, ...] = ()
    has_second_factor: bool = False

    def forbidden(self) -> frozenset[str]:
        """Return what the password may not contain, in lower case."""
        parts = {self.email, self.email.rpartition("@")[0], self.username}
        parts.update(part for name in self.names for part in name.split())
        return frozenset(
            part.casefold() for part in parts if len(part.casefold()) >= _SHORTEST_NAME
        )


@dataclass(frozen=True, slots=True)
class PasswordHistory:
    """The last passwords of a member, the current one first, as digests under one salt."""

    salt: bytes
    digests: tuple[bytes, ...] = ()

    def with_new(self, digest: bytes) -> "PasswordHistory":
        """Return the history once the password of `digest` is the current one."""
        return PasswordHistory(self.salt, (digest, *self.digests)[:REMEMBERED])


def decide_password(
    password: str, profile: PasswordProfile, owner: PasswordOwner, common: Container[str]
) -> Decision:
    """Decide by the rules that cost nothing; all reasons at once.

    Args:
        common: Passwords that many people use, in lower case.
    """
    return _decision(_reasons_against(password, profile, owner, common))


def decide_strength(score: int) -> Decision:
    """Decide by zxcvbn's score, 0 to 4. Only the profile `nist` asks."""
    if score >= NIST_LEAST_SCORE:
        return Allow()
    return Deny(
        (
            _reason(
                "password_guessable",
                "This password is easy to guess. Add a few words that have nothing to do with "
                "each other.",
            ),
        )
    )


def decide_reuse(*, is_known: bool) -> Decision:
    """Decide whether a password may come (back)."""
    if not is_known:
        return Allow()
    text = f"This is one of your last {REMEMBERED} passwords. Choose one you have not used."
    return Deny((_reason("password_reused", text),))


def decide_by_verdict(reasons: Iterable[tuple[str, str]] | None) -> Decision:
    """Decide by what the edge found out about a password.

    Args:
        reasons: Code and text of each of its objections; None when there is no verdict.
    """
    if reasons is None:
        text = "This password was not checked. Please send the form again."
        return Deny((_reason("password_unchecked", text),))
    return _decision(_reason(code, text) for code, text in reasons)


def is_asked_for_strength(profile: PasswordProfile) -> bool:
    return profile is PasswordProfile.NIST


def hint(profile: PasswordProfile) -> str:
    """Say the rules in words, for the form."""
    kept = f"None of your last {REMEMBERED} passwords."
    if profile is PasswordProfile.NIST:
        return (
            f"At least {NIST_LEAST_ALONE} characters: a few words are easy to remember. Without "
            f"your name or e-mail address. {kept}"
        )
    return (
        f"At least {SEED_LEAST} characters, with a capital and a small letter, a digit and a "
        f"special character. Without your name or e-mail address. {kept}"
    )


def _reasons_against(
    password: str, profile: PasswordProfile, owner: PasswordOwner, common: Container[str]
) -> Iterator[Reason]:
    yield from _length_reasons(password, _least(profile, owner))
    password = password[:_LOOKED_AT]
    if profile is PasswordProfile.SEED:
        yield from _class_reasons(password)
    if is_common(password, common):
        text = "Many people use this password. Choose one that only you would think of."
        yield _reason("password_common", text)
    plain = password.casefold()
    if any(part in plain for part in owner.forbidden()):
        text = "Take your name, username and e-mail address out of the password."
        yield _reason("password_personal", text)


def _least(profile: PasswordProfile, owner: PasswordOwner) -> int:
    if profile is PasswordProfile.SEED:
        return SEED_LEAST
    return NIST_LEAST_WITH_SECOND_FACTOR if owner.has_second_factor else NIST_LEAST_ALONE


def _length_reasons(password: str, least: int) -> Iterator[Reason]:
    if len(password) < least:
        yield _reason("password_too_short", f"Use at least {least} characters.")
    if len(password) > MOST_BYTES or len(password.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        text = (
            f"Use at most {MOST_BYTES} bytes: that is {MOST_BYTES} plain letters, or fewer "
            "with accents, other scripts or emoji."
        )
        yield _reason("password_too_long", text)


def _class_reasons(password: str) -> Iterator[Reason]:
    wanted = (
        ("upper", "Add a capital letter.", str.isupper),
        ("lower", "Add a small letter.", str.islower),
        ("digit", "Add a digit.", str.isdigit),
        ("special", "Add a special character, such as - or !.", _is_special),
    )
    for code, text, has in wanted:
        if not any(has(character) for character in password):
            yield _reason(f"password_without_{code}", text)


def _is_special(character: str) -> bool:
    return not character.isalnum() and not character.isspace()


def is_common(password: str, common: Container[str]) -> bool:
    """Tell whether many people use this password, or one that is hardly another.

    Capitals, digits and signs at its ends and signs instead of letters (`P@ssw0rd1!`) do not
    make a common password a rare one, as long as it is at least half of the whole.
    """
    plain = password.casefold()
    if plain in common:
        return True
    core = plain.strip(_PADDING)
    unmasked = plain.translate(_LOOKALIKES).strip(_PADDING)
    return (_is_most_of(core, plain) and (core in common or _unmask(core) in common)) or (
        _is_most_of(unmasked, plain) and unmasked in common
    )


def _is_most_of(core: str, plain: str) -> bool:
    return 0 < len(plain) <= 2 * len(core)


def _unmask(core: str) -> str:
    return core.translate(_LOOKALIKES)


def _reason(code: str, text: str) -> Reason:
    return Reason(code, text, POINTER)


def _decision(reasons: Iterable[Reason]) -> Decision:
    found = tuple(reasons)
    return Deny(found) if found else Allow()
