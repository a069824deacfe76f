"""What an access token says. Sources: RFC 9068 (profile), RFC 8176 (`amr`), OpenID Connect Core."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

MOST_PERMISSION_BYTES = 4096
"""Of the claim as compact JSON: header fields of common servers end at 8 KB."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a token is about, and how it logged in.

    Attributes:
        session_expires_at: When its session is over, however much it is used.
        methods: Kratos' names, in order.
        aal: `aal1` or `aal2`.
        permissions: By name, in any order.
    """

    identity_id: str
    session_id: str
    authenticated_at: datetime
    session_expires_at: datetime
    methods: Sequence[str]
    aal: str
    role: str
    status: str
    permissions: Sequence[str]


def access_claims(
    subject: Subject,
    *,
    issuer: str,
    audience: str,
    token_id: str,
    now: datetime,
    lifetime: timedelta,
    idle_timeout: timedelta | None = None,
) -> dict[str, Any]:
    """Return the claims; `exp` is never after the session's end.

    Args:
        idle_timeout: After how long without a use the session is over. This is one; who verifies
            the token elsewhere tells nobody of the next.
    """
    issued = int(now.timestamp())
    ends = min(now + lifetime, subject.session_expires_at, now + (idle_timeout or lifetime))
    permissions, truncated = capped(tuple(subject.permissions))
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": subject.identity_id,
        "aud": audience,
        "sid": subject.session_id,
        "jti": token_id,
        "iat": issued,
        "nbf": issued,
        "exp": int(ends.timestamp()),
        "auth_time": int(subject.authenticated_at.timestamp()),
        "amr": list(dict.fromkeys(subject.methods)),
        "acr": subject.aal,
        "roles": [subject.role],
        "permissions": permissions,
        "status": subject.status,
    }
    if truncated:
        claims["permissions_truncated"] = True
    return claims


# Most members of a role hold the same: what follows from it is worked out once.
@lru_cache(maxsize=1024)
def capped(names: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Return the names in order, as many as fit, and whether some did not."""
    ordered = sorted(set(names))
    if len(json.dumps(ordered, separators=(",", ":"))) <= MOST_PERMISSION_BYTES:
        return tuple(ordered), False
    kept: list[str] = []
    size = len("[]")
    for name in ordered:
        size += len(json.dumps(name)) + (1 if kept else 0)
        if size > MOST_PERMISSION_BYTES:
            break
        kept.append(name)
    return tuple(kept), True


def is_outdated(
    *, roles: object, issued_at: int, role: str, role_changed_at: datetime | None
) -> bool:
    """Tell whether a token was made before its member's role last changed.

    Both are looked at: `iat` has whole seconds, and a role may come back.
    """
    if roles != [role]:
        return True
    return role_changed_at is not None and issued_at < int(role_changed_at.timestamp())
