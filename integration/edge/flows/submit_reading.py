"""Which method a submit uses and whom it names, read as Kratos reads it.

Source: ory/kratos v1.3.1, `selfservice/strategy/*` (`password_identifier` is still taken) and
`persistence/sql/identity/persister_identity.go` (names are trimmed and in lower case).
"""

from collections.abc import Mapping
from typing import Any

# Longest name that is looked up or hashed whole; no e-mail address or username is as long.
MAX_IDENTIFIER = 320

_METHODS = frozenset(
    {
        "code",
        "link",
        "lookup_secret",
        "oidc",
        "passkey",
        "password",
        "profile",
        "totp",
        "webauthn",
        "identifier_first",
    }
)
# Fields that Kratos' buttons send in place of `method`, and what they stand for.
_TELLING = (
    ("provider", "oidc"),
    ("link", "oidc"),
    ("unlink", "oidc"),
    ("totp_code", "totp"),
    ("totp_unlink", "totp"),
    ("lookup_secret", "lookup_secret"),
    ("lookup_secret_reveal", "lookup_secret"),
    ("lookup_secret_regenerate", "lookup_secret"),
    ("lookup_secret_confirm", "lookup_secret"),
    ("lookup_secret_disable", "lookup_secret"),
    ("code", "code"),
    ("resend", "code"),
    ("address", "code"),
    ("password", "password"),
    ("email", "code"),
)


def method_of(fields: Mapping[str, Any]) -> str:
    """Return the method of a submit: one of Kratos' names, `unknown`, or empty for none."""
    named = fields.get("method")
    if isinstance(named, str) and named:
        return named if named in _METHODS else "unknown"
    return next((method for field, method in _TELLING if fields.get(field)), "")


def identifier_of(fields: Mapping[str, Any]) -> str | None:
    """Return whom a submit names, the way Kratos compares names; None when it names nobody.

    Longer names than anybody has are cut: they only need to be told apart.
    """
    candidates = [
        fields.get("identifier"),
        fields.get("password_identifier"),
        fields.get("email"),
        fields.get("address"),
        _trait(fields, "email"),
        _trait(fields, "username"),
    ]
    named = next((name for name in candidates if isinstance(name, str) and name.strip()), None)
    return None if named is None else named.strip().lower()[:MAX_IDENTIFIER]


def _trait(fields: Mapping[str, Any], name: str) -> object:
    traits = fields.get("traits")
    nested = traits.get(name) if isinstance(traits, dict) else None
    return nested or fields.get(f"traits.{name}")
