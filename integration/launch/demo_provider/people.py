"""Who can be signed in at the demo provider: claims by subject."""

from collections.abc import Mapping
from typing import Any

Claims = Mapping[str, Any]

# Scopes and the claims they give: OpenID Connect Core 1.0, section 5.4.
_OF_SCOPE = {
    "email": ("email", "email_verified"),
    "profile": ("name", "given_name", "family_name", "preferred_username", "picture", "locale"),
}

PEOPLE: Mapping[str, Claims] = {
    "grace": {
        "email": "grace@provider.example",
        "email_verified": True,
        "name": "Grace Hopper",
        "given_name": "Grace",
        "family_name": "Hopper",
        "preferred_username": "grace-hopper",
    },
    "linus": {
        "email": "linus@provider.example",
        "email_verified": False,
        "name": "Linus, whose address nobody verified",
        "preferred_username": "linus-unverified",
    },
    "nobody": {"name": "Somebody without an address", "preferred_username": "no-address"},
}


def subject_for(people: Mapping[str, Claims], hint: str) -> str | None:
    """Return whom a `login_hint` names, by subject or e-mail address; None: nobody."""
    if hint in people:
        return hint
    return next(
        (sub for sub, claims in people.items() if hint and claims.get("email") == hint), None
    )


def claims_in(claims: Claims, scope: str) -> dict[str, Any]:
    """Return the claims that a scope, such as `openid email`, gives away."""
    names = {name for word in scope.split() for name in _OF_SCOPE.get(word, ())}
    return {name: value for name, value in claims.items() if name in names}
