"""Proof that a form was shown to the session that sends it: no other site can make one."""

import hmac
from uuid import UUID

from integration.keys import derive


def issue(secret: str, session_id: UUID) -> str:
    """Return the token of the forms shown to one session.

    Args:
        secret: `KLEIS_SECRET`.
    """
    return hmac.digest(derive(secret, "page forms"), session_id.bytes, "sha256").hex()


def is_good(secret: str, token: str, session_id: UUID) -> bool:
    """Tell whether a token, as a client sent it, is that of this session."""
    return hmac.compare_digest(token.encode("utf-8", "replace"), issue(secret, session_id).encode())
