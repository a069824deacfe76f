"""Access tokens: signed with one key, verified with a set of them. No I/O, no clock.

Sources: RFC 9068 (profile), RFC 8725 (what to check; docs/security.md goes through it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from integration.tokens import jwk
from integration.tokens.jwk import PrivateKey, PublicKey

TYPE = "at+jwt"
MAX_TOKEN_BYTES = 16_384
# Our processes' clocks differ a little; a token just made may come from the future.
_LEEWAY = timedelta(seconds=5)
_REQUIRED = ("iss", "sub", "aud", "sid", "jti", "iat", "nbf", "exp")
_HEADER = frozenset({"alg", "kid", "typ"})


class InvalidTokenError(Exception):
    """It proves nothing. The message is for logs."""


class UnknownKeyError(InvalidTokenError):
    """It names a key that is not in the set: look whether there is a new one."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    algorithm: str
    public: PublicKey


@dataclass(frozen=True, slots=True)
class SigningHalf:
    kid: str
    algorithm: str
    private: PrivateKey


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says.

    Attributes:
        values: Every claim, as it stands in the token.
    """

    identity_id: UUID
    session_id: UUID
    audience: str
    token_id: str
    issued_at: int
    expires_at: int
    values: Mapping[str, Any]

    @property
    def roles(self) -> object:
        return self.values.get("roles")

    @property
    def aal(self) -> str:
        return str(self.values.get("acr", ""))


def key_from_jwk(shown: Mapping[str, Any]) -> tuple[str, VerificationKey]:
    """Return name and key of one entry of our JWKS.

    Raises:
        ValueError: it is none of ours.
    """
    algorithm = str(shown.get("alg"))
    return str(shown["kid"]), VerificationKey(algorithm, jwk.from_jwk(shown, algorithm))


def is_access_token(value: str) -> bool:
    """Tell whether a bearer credential has the shape of a JWT: API keys and Kratos' tokens
    have not."""
    return value.count(".") == 2 and value.startswith("ey")


def sign(claims: Mapping[str, Any], key: SigningHalf) -> str:
    """Return the token."""
    headers = {"typ": TYPE, "kid": key.kid}
    return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers=headers)


class AccessTokens:
    """Verifies, with a fixed set of keys."""

    def __init__(
        self, keys: Mapping[str, VerificationKey], *, issuer: str, audiences: frozenset[str]
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audiences = audiences

    def verify(self, token: str, now: datetime) -> Claims:
        """Return what a token says, when its signature, kind, issuer, audience and times hold.

        Whether its session still lives is not asked here.

        Raises:
            UnknownKeyError: no such key in this set.
            InvalidTokenError: anything else.
        """
        key = self._key(token)
        try:
            values = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                options={
                    "require": list(_REQUIRED),
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise InvalidTokenError(type(error).__name__) from error
        return self._read(values, now.timestamp())

    def _key(self, token: str) -> VerificationKey:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise InvalidTokenError("too long, or not ASCII")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise InvalidTokenError(type(error).__name__) from error
        # Keys and addresses that a token brings along are nobody's here: no `jwk`, `jku`, `crit`.
        if set(header) != _HEADER or header["typ"] != TYPE:
            raise InvalidTokenError("another kind of token")
        kid = header["kid"]
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKeyError("unknown key")
        if header["alg"] != key.algorithm:
            raise InvalidTokenError("another algorithm than its key's")
        return key

    def _read(self, values: dict[str, Any], now: float) -> Claims:
        times = [values[name] for name in ("iat", "nbf", "exp")]
        if not all(type(each) is int for each in times):
            raise InvalidTokenError("times are whole seconds")
        issued, begins, ends = times
        leeway = _LEEWAY.total_seconds()
        if now >= ends or max(issued, begins) > now + leeway:
            raise InvalidTokenError("not now")
        audience = values["aud"]
        if not isinstance(audience, str) or audience not in self._audiences:
            raise InvalidTokenError("for somebody else")
        try:
            return Claims(
                identity_id=UUID(values["sub"]),
                session_id=UUID(values["sid"]),
                audience=audience,
                token_id=str(values["jti"]),
                issued_at=issued,
                expires_at=ends,
                values=values,
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidTokenError("names nobody") from error
