"""`/.well-known/jwks.json`: the keys that verify access tokens. Source: RFC 7517."""

from typing import Any

from fastapi import APIRouter, Response

from integration.dependencies import UsesKeyRing, UsesServices

router = APIRouter(tags=["discovery"])


@router.get("/.well-known/jwks.json")
def get_jwks(response: Response, services: UsesServices, key_ring: UsesKeyRing) -> dict[str, Any]:
    """Return the public keys: each is here before it signs, and until its last token expired."""
    seconds = int(services.settings.jwks_max_age.total_seconds())
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    return key_ring.jwks()
