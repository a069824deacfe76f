"""`/api/tokens`: a session for tokens, the next ones for the last, and back with them."""

import json
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from integration.api.authentication import session_headers
from integration.api.clients import CallingClient
from integration.api.problems import problem
from integration.dependencies import UsesKeyRing, UsesServices
from integration.errors import InvalidInputError, UnauthenticatedError
from integration.members import callers
from integration.services import Services
from integration.tokens import access, issuing, refresh_tokens, revoking
from integration.tokens import refresh as refreshing
from integration.tokens.access import InvalidTokenError
from integration.tokens.issuing import Tokens
from integration.tokens.key_ring import KeyRing
from policies.token_refresh import HELD, Refuse

router = APIRouter(prefix="/api/tokens", tags=["tokens"])
log = structlog.get_logger()

_MAX_TOKEN = 512
_MAX_REVOKED = access.MAX_TOKEN_BYTES
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_AGAIN = "Please log in."
_CONFIRM = "Please confirm that it is you."


class TokenRequest(BaseModel):
    """What tokens are asked for."""

    audience: str | None = Field(
        default=None, max_length=128, description="A registered application; else the first."
    )


class RefreshRequest(BaseModel):
    refresh_token: str = Field(max_length=_MAX_TOKEN)


class SessionView(BaseModel):
    """The session that tokens belong to."""

    id: UUID
    expires_at: datetime


class TokensView(BaseModel):
    """Tokens. Lifetimes are in seconds."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - not a secret
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    session: SessionView


@router.post("", response_model=TokensView)
def issue(
    request: Request,
    client: CallingClient,
    services: UsesServices,
    key_ring: UsesKeyRing,
    body: TokenRequest | None = None,
) -> Response:
    """Give a Kratos session (cookie or `X-Session-Token`) its tokens: a new family.

    403 `session_required` for an access token: it gives no further tokens. With a `DPoP` header the
    refresh tokens are bound to that key (RFC 9449)."""
    application = issuing.audience(services.settings, body.audience if body else None)
    seen = callers.kratos_session(services, session_headers(request))
    made = issuing.begin_family(services, key_ring.signer(), seen, client, application=application)
    return _answer(services, made)


@router.post("/refresh", response_model=TokensView)
def refresh(
    body: RefreshRequest, client: CallingClient, services: UsesServices, key_ring: UsesKeyRing
) -> Response:
    """Give the next tokens for a refresh token, which is used up with it.

    401 when it gives nothing any more; 403 `session_aal2_required` while its session waits for a
    second factor. A client whose answer got lost may ask again within a minute."""
    token = refresh_tokens.parse(body.refresh_token)
    if token is None:
        raise UnauthenticatedError(_AGAIN, detail="not a refresh token")
    made = refreshing.refresh(services, key_ring.signer(), token, client)
    if isinstance(made, Refuse):
        log.info("refresh_refused", code=made.code)
        is_held = made.code == HELD
        status = HTTPStatus.FORBIDDEN if is_held else HTTPStatus.UNAUTHORIZED
        return problem(status, made.code, _CONFIRM if is_held else _AGAIN, headers=NO_STORE)
    return _answer(services, made)


async def read_revoked(request: Request) -> str:
    """Return the token that a body names, JSON or a form (RFC 7009, section 2.1).

    Raises:
        InvalidInputError: it names none.
    """
    raw = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            named = dict(parse_qsl(raw.decode("ascii"), max_num_fields=16)).get("token")
        else:
            named = json.loads(raw).get("token")
    except (ValueError, AttributeError, RecursionError):
        named = None
    if not isinstance(named, str) or not named:
        raise InvalidInputError("Name the token.")
    return named


_REVOKE_BODY = {
    "type": "object",
    "required": ["token"],
    "properties": {"token": {"type": "string"}, "token_type_hint": {"type": "string"}},
}
_REVOKE_CONTENT = {
    kind: {"schema": _REVOKE_BODY}
    for kind in ("application/json", "application/x-www-form-urlencoded")
}


@router.post(
    "/revoke", openapi_extra={"requestBody": {"required": True, "content": _REVOKE_CONTENT}}
)
def revoke(
    token: Annotated[str, Depends(read_revoked)], services: UsesServices, key_ring: UsesKeyRing
) -> dict[str, str]:
    """Take a token back: 200 whether or not there was something to take (RFC 7009).

    A refresh token's family ends. With the last family of its session, or by an access token, the
    session ends too, and with it every access token of it."""
    if len(token) <= _MAX_REVOKED:
        _revoke(services, key_ring, token)
    return {}


def _revoke(services: Services, key_ring: KeyRing, token: str) -> None:
    now = services.now()
    known = refresh_tokens.parse(token)
    if known is not None:
        with services.transaction() as session:
            revoking.revoke_refresh_token(session, known, now=now)
    elif access.is_access_token(token):
        try:
            claims = key_ring.verify(token)
        except InvalidTokenError:
            return
        with services.transaction() as session:
            revoking.revoke_access_token(session, claims, now=now)


def _answer(services: Services, made: Tokens) -> Response:
    said = view(services, made).model_dump_json()
    return Response(said, headers=NO_STORE, media_type="application/json")


def view(services: Services, made: Tokens) -> TokensView:
    """Return tokens as clients are shown them."""
    lifetime = services.settings.refresh_token_lifetime
    return TokensView(
        access_token=made.access_token,
        expires_in=int(made.access_lifetime.total_seconds()),
        refresh_token=made.refresh_token,
        refresh_expires_in=int(lifetime.total_seconds()),
        session=SessionView(id=made.session_id, expires_at=made.session_expires_at),
    )
