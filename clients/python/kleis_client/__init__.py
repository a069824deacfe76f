"""Clients of Kleis: verify access tokens offline, ask for permissions, renew tokens.

What needs a framework is in a module named for it: `kleis_client.fastapi`, `kleis_client.django`,
and `kleis_client.asgi` for everything that speaks ASGI.
"""

from kleis_client.checks import Check, Decision
from kleis_client.errors import (
    IssuerError,
    KleisClientError,
    PermissionDeniedError,
    SecondFactorRequiredError,
    SessionEndedError,
    TokenError,
    UndecidedError,
)
from kleis_client.member import Member
from kleis_client.permissions import PermissionClient
from kleis_client.revocations import RevocationFeed
from kleis_client.token_auth import TokenAuth
from kleis_client.token_pair import TokenPair
from kleis_client.verifier import TokenVerifier

__all__ = [
    "Check",
    "Decision",
    "IssuerError",
    "KleisClientError",
    "Member",
    "PermissionClient",
    "PermissionDeniedError",
    "RevocationFeed",
    "SecondFactorRequiredError",
    "SessionEndedError",
    "TokenAuth",
    "TokenError",
    "TokenPair",
    "TokenVerifier",
    "UndecidedError",
]
