"""`/.well-known/kleis`: where everything is."""

from fastapi import APIRouter

from integration.dependencies import UsesServices

router = APIRouter(tags=["discovery"])


@router.get("/.well-known/kleis")
def get_discovery(services: UsesServices) -> dict[str, str]:
    """Return the addresses a client may need."""
    base = str(services.settings.public_url)
    return {
        "issuer": base.rstrip("/"),
        "ory": base,
        "jwks": f"{base}.well-known/jwks.json",
        "tokens": f"{base}api/tokens",
        "token_refresh": f"{base}api/tokens/refresh",
        "token_revocation": f"{base}api/tokens/revoke",
        "token_revocations": f"{base}api/tokens/revocations",
        "register": f"{base}api/auth/register",
        "login": f"{base}api/auth/login",
        "me": f"{base}api/me",
        "permission_check": f"{base}api/permissions/check",
        "permission_batch_check": f"{base}api/permissions/batch-check",
        "permission_explain": f"{base}api/permissions/explain",
        "permission_epochs": f"{base}api/permissions/epochs",
        "forward_auth": f"{base}api/forward-auth",
        "flows": f"{base}api/flows/{{flow_id}}",
        "openapi": f"{base}api/openapi.json",
        "ready": f"{base}health/ready",
    }
