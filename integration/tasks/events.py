"""Events for the application, signed and posted to the one consumer that is configured."""

import base64
import hashlib
import hmac
import json
from uuid import UUID

from integration.db.tables import OutboxEffect
from integration.errors import UpstreamUnavailableError
from integration.ory.transport import make_client, send
from integration.services import Services
from policies.decisions import PublishEvent


def publish(services: Services, row: OutboxEffect, identity_id: UUID, event: PublishEvent) -> None:
    """Post one event. Source of headers and signature: Standard Webhooks 1.0.

    Raises:
        UpstreamUnavailableError: no consumer is configured, or it did not take the event.
    """
    settings = services.settings
    if settings.events_url is None or settings.events_secret is None:
        raise UpstreamUnavailableError("No consumer is set: KLEIS_EVENTS_URL, KLEIS_EVENTS_SECRET.")
    body = json.dumps(
        {
            "type": event.name,
            "timestamp": row.created_at.isoformat(),
            "data": {"subject": str(identity_id), **dict(event.facts)},
        }
    )
    timestamp = str(int(services.now().timestamp()))
    headers = {
        "content-type": "application/json",
        "webhook-id": str(row.id),
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(
            settings.events_secret.get_secret_value(), str(row.id), timestamp, body
        ),
    }
    with make_client(
        str(settings.events_url),
        timeout=settings.upstream_timeout,
        connect_timeout=settings.connect_timeout,
    ) as client:
        send(client, "POST", "", content=body, headers=headers)


def sign(secret: str, message_id: str, timestamp: str, body: str) -> str:
    """Return the `webhook-signature` of one message: HMAC-SHA256, version 1."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
