"""`/api/me/security-events`: what happened to the safety of the member's account."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from integration.api.authentication import MemberCalling
from integration.db import security_events
from integration.db.security_tables import SecurityEvent
from integration.dependencies import Transaction
from integration.errors import InvalidInputError

router = APIRouter(prefix="/api/me/security-events", tags=["me"])

_MOST = 100


class SecurityEventView(BaseModel):
    """One event. `facts` depend on `kind`."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    at: datetime
    kind: str
    facts: dict[str, Any]


class SecurityEvents(BaseModel):
    """One page, newest first. `next_cursor` is None on the last."""

    items: list[SecurityEventView]
    next_cursor: str | None


@router.get("")
def list_security_events(
    request: Request,
    response: Response,
    caller: MemberCalling,
    session: Transaction,
    *,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 20,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> SecurityEvents:
    """List what happened: password, e-mail address, second factors, devices, sessions."""
    before = _read(cursor) if cursor else None
    found = security_events.latest(
        session, caller.member.identity_id, before=before, limit=limit + 1
    )
    shown = found[:limit]
    following = _cursor(shown[-1]) if len(found) > limit else None
    if following is not None:
        target = request.url.include_query_params(limit=limit, cursor=following)
        response.headers["Link"] = f'<{target.path}?{target.query}>; rel="next"'
    return SecurityEvents(
        items=[SecurityEventView.model_validate(event) for event in shown], next_cursor=following
    )


def _cursor(event: SecurityEvent) -> str:
    return base64.urlsafe_b64encode(f"{event.at.isoformat()} {event.id}".encode()).decode()


def _read(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
        moment, _, event_id = text.partition(" ")
        return datetime.fromisoformat(moment), UUID(event_id)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("This cursor is not one of ours.") from error
