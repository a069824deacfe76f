"""`/api/tokens/revocations`: sessions whose access tokens are void, for verifiers offline."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from integration.api.problems import problem
from integration.dependencies import UsesServices
from integration.tokens.revocation_feed import RevocationFeed

router = APIRouter(prefix="/api/tokens", tags=["tokens"])

LONGEST_WAIT = 25
_ENTITY_TAG = '"{}"'


class RevokedView(BaseModel):
    """A session, and until when its access tokens have to be refused."""

    sid: UUID
    until: datetime


class RevocationsView(BaseModel):
    version: str
    revoked: list[RevokedView]


@router.get("/revocations", response_model=RevocationsView)
async def get_revocations(
    request: Request,
    services: UsesServices,
    if_none_match: Annotated[str, Header(max_length=256)] = "",
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0,
) -> Response:
    """Return the whole list; 304 when it is still the one named in `If-None-Match`.

    With `wait`, the 304 comes only after that many seconds, and another list as soon as there is
    one. 503 when nobody can tell whether the list is still true."""
    feed = _feed(request, services)
    known = if_none_match.strip().removeprefix("W/").strip('"')
    found = await (feed.after(known, wait) if known and wait else feed.current())
    if found is None:
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "revocations_unknown", "Please try again in a moment."
        )
    headers = {"ETag": _ENTITY_TAG.format(found.version), "Cache-Control": "no-cache"}
    if found.version == known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    revoked = [RevokedView(sid=sid, until=until) for sid, until in found.revoked]
    shown = RevocationsView(version=found.version, revoked=revoked)
    return JSONResponse(shown.model_dump(mode="json"), headers=headers)


def _feed(request: Request, services: UsesServices) -> RevocationFeed:
    state = request.app.state
    if not hasattr(state, "revocation_feed"):
        state.revocation_feed = RevocationFeed(
            services.settings, services.transaction, services.now
        )
    feed: RevocationFeed = state.revocation_feed
    return feed


def close(app: FastAPI) -> None:
    """Stop what the route started."""
    feed: RevocationFeed | None = getattr(app.state, "revocation_feed", None)
    if feed is not None:
        feed.close()
