"""Proof that a browser took a flow to its end: a cookie that shows its progress afterwards.

Kratos shows a browser's flow to whoever has its CSRF cookie, and renews that cookie when the flow
succeeds: from then on not even the browser that registered could ask how far it got.
"""

import hashlib
import hmac
from uuid import UUID

from integration.keys import derive

COOKIE = "kleis_flow"
PATH = "/api/flows"
LIFETIME_SECONDS = 86_400


def issue(secret: str, flow_id: UUID) -> str:
    """Return the value of the cookie for one flow.

    Args:
        secret: `KLEIS_SECRET`, which edge and service share.
    """
    key = derive(secret, "flow ticket")
    return f"{flow_id}.{hmac.new(key, flow_id.bytes, hashlib.sha256).hexdigest()}"


def shows(secret: str, ticket: str, flow_id: UUID) -> bool:
    """Tell whether a cookie's value, as a client sent it, is the ticket of this flow."""
    return hmac.compare_digest(ticket.encode(), issue(secret, flow_id).encode())
