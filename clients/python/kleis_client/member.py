"""The member behind an access token, made from its claims."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kleis_client.errors import TokenInvalidError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
_LATEST = 2**53
"""Seconds; beyond it not every reader of JSON has exact numbers (RFC 8259, section 6)."""
_LEVELS = frozenset({"aal1", "aal2"})


@dataclass(frozen=True, slots=True)
class Member:
    """Who sent a request, as the issuer knew it when it made the token.

    Attributes:
        id: The member's UUID (`sub`).
        session_id: The session's UUID (`sid`).
        token_id: This token's own name (`jti`).
        status: State of the member; the verifier lets only `active` through by default.
        roles: Such as `user`.
        permissions: Names, also with wildcards: `content.publish`, `content.*`, `*`.
        permissions_truncated: Whether the member has more permissions than the token holds.
        assurance: `aal2` after a second factor, else `aal1` (`acr`).
        methods: How the member proved who it is (`amr`).
        authenticated_at: When it did, in seconds since 1970 (`auth_time`).
        expires_at: When the token's time is over, in seconds since 1970 (`exp`).
    """

    id: str
    session_id: str
    token_id: str
    status: str
    roles: frozenset[str]
    permissions: frozenset[str] = field(repr=False)
    permissions_truncated: bool
    assurance: str
    methods: tuple[str, ...]
    authenticated_at: int
    issued_at: int
    not_before: int
    expires_at: int

    def holds(self, permission: str) -> bool:
        """Whether the token lists `permission`, by name or wildcard.

        As old as the token, up to 15 minutes: good for what a page shows. What counts is asked
        with `PermissionClient`. False may be wrong where `permissions_truncated`.
        """
        parts = permission.split(".")
        wildcards = (".".join([*parts[:depth], "*"]) for depth in range(len(parts)))
        return permission in self.permissions or any(
            wildcard in self.permissions for wildcard in wildcards
        )


def member_of(claims: Mapping[str, Any]) -> Member:
    """Return the member that verified claims tell of.

    Raises:
        TokenInvalidError: If a claim is missing or of another type than agreed.
    """
    assurance = claims.get("acr")
    if assurance not in _LEVELS:
        raise TokenInvalidError("claim_acr")
    truncated = claims.get("permissions_truncated", False)
    if not isinstance(truncated, bool):
        raise TokenInvalidError("claim_permissions_truncated")
    return Member(
        id=_text(claims, "sub", _UUID),
        session_id=_text(claims, "sid", _UUID),
        token_id=_text(claims, "jti", _ID),
        status=_text(claims, "status", _ID),
        roles=frozenset(_texts(claims, "roles")),
        permissions=frozenset(_texts(claims, "permissions")),
        permissions_truncated=truncated,
        assurance=assurance,
        methods=_texts(claims, "amr"),
        authenticated_at=_seconds(claims, "auth_time"),
        issued_at=_seconds(claims, "iat"),
        not_before=_seconds(claims, "nbf"),
        expires_at=_seconds(claims, "exp"),
    )


def _text(claims: Mapping[str, Any], name: str, shape: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise TokenInvalidError(f"claim_{name}")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TokenInvalidError(f"claim_{name}")
    return tuple(value)


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < _LATEST:
        raise TokenInvalidError(f"claim_{name}")
    return value
