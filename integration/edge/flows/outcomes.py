"""What Kratos' answer to a submit says: read from message ids, never from the status."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from integration.edge.asgi import Answer, header

_FLOW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class FlowMessage:
    """One error message of a flow.

    Attributes:
        id: Kratos' message id, or ours from 9,400,000.
        node: Name of the form field it stands at (`traits.email`), or None: the whole form.
        code: Our reason's code from the context, or None for Kratos' own messages.
        text: What the person reads; only where Kratos has one number for many meanings.
    """

    id: int
    node: str | None
    code: str | None
    text: str = field(default="", compare=False)


def error_messages(body: bytes) -> tuple[FlowMessage, ...] | None:
    """Return the error messages of a flow; None when the body is no flow."""
    document = first_document(body)
    return None if document is None else messages_in(document)


def messages_in(document: dict[str, Any]) -> tuple[FlowMessage, ...] | None:
    """Return the error messages of a flow that was parsed already; as `error_messages`."""
    ui = document.get("ui")
    return tuple(_messages(ui)) if isinstance(ui, dict) else None


def first_document(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object a body starts with, or None.

    v1.3.1 answers one case of the OIDC callback with two objects in a row; the first is meant.
    """
    try:
        document, _ = _DECODER.raw_decode(body.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _messages(ui: dict[str, Any]) -> Iterator[FlowMessage]:
    places = [(None, ui)] + [
        ((node.get("attributes") or {}).get("name"), node)
        for node in ui.get("nodes") or []
        if isinstance(node, dict)
    ]
    for name, holder in places:
        for message in holder.get("messages") or []:
            if message.get("type") == "error" and isinstance(message.get("id"), int):
                code = (message.get("context") or {}).get("code")
                code = code if isinstance(code, str) else None
                yield FlowMessage(message["id"], name, code, str(message.get("text", "")))


def flow_id_of(query: str) -> UUID | None:
    """Return the id in a submit's address, or None when it is none."""
    given = parse_qs(query).get("flow", [""])[0]
    return UUID(given) if _FLOW_ID.match(given) else None


def flow_shown_by(answer: Answer) -> UUID | None:
    """Return the flow that a form client is sent back to, or None."""
    if answer.status not in (302, 303):
        return None
    return flow_id_of(urlsplit(header(answer.headers, b"location") or "").query)
