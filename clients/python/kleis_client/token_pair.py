"""An access token and the refresh token it is renewed with."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kleis_client.errors import IssuerError

_LONGEST = 400 * 86_400
"""Seconds; no lifetime is longer."""
_LARGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or a renewal gave. Both tokens are secrets; `repr` shows neither.

    Attributes:
        expires_at: When the access token's time is over, in seconds since 1970.
        refresh_expires_at: The same of the refresh token.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    refresh_expires_at: float

    @classmethod
    def of(cls, answer: Mapping[str, Any], *, now: float | None = None) -> "TokenPair":
        """Return the pair in an answer of `POST /api/tokens`, `/refresh` or a login.

        Args:
            now: When the request was sent, in seconds since 1970; the lifetimes count from there.

        Raises:
            IssuerError: If it holds no such pair.
        """
        sent_at = time.time() if now is None else now
        if str(answer.get("token_type", "")).lower() != "bearer":
            raise IssuerError("The issuer's answer is not a pair of bearer tokens.")
        return cls(
            access_token=_token(answer, "access_token"),
            refresh_token=_token(answer, "refresh_token"),
            expires_at=sent_at + _seconds(answer, "expires_in"),
            refresh_expires_at=sent_at + _seconds(answer, "refresh_expires_in"),
        )


def _token(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    # Printable ASCII without spaces: what may stand in a header.
    if not isinstance(value, str) or not 0 < len(value) <= _LARGEST:
        raise IssuerError("The issuer's answer is not a pair of bearer tokens.")
    if not all("!" <= character <= "~" for character in value):
        raise IssuerError("The issuer's answer is not a pair of bearer tokens.")
    return value


def _seconds(answer: Mapping[str, Any], name: str) -> float:
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LONGEST:
        raise IssuerError("The issuer's answer is not a pair of bearer tokens.")
    return float(value)
