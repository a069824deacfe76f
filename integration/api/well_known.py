"""`/.well-known/kleis`: where everything is."""

from fastapi import APIRouter

from integration.dependencies import UsesServices

router = APIRouter(tags=["discovery"])


@router.get("/.well-known/kleis")
def get_discovery(services: UsesServices) -> dict[str, str]:
    """Return the addresses a client may need."""
    base = str(services.settings.public_url)
    return {
        "issuer": base,
        "ory": base,
        "jwks": f"{base}.well-known/jwks.json",
        "tokens": f"{base}api/tokens",
        "token_refresh": f"{base}api/tokens/refresh",
        "token_revocation": f"{base}api/tokens/revoke",
        "token_revocations": f"{base}api/tokens/revocations",
        "register": f"{base}api/auth/register",
        "login": f"{base}api/auth/login",
        "me": f"{base}api/me",
        "flows": f"{base}api/flows/{{flow_id}}",
        "openapi": f"{base}api/openapi.json",
        "ready": f"{base}health/ready",
    }
