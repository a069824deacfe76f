"""The address OpenID providers send people back to."""

PATH = "/self-service/methods/oidc/callback"


def is_oidc_callback(path: str) -> bool:
    """Tell whether Kratos takes this for a callback: with the provider's id behind it, or without,
    for then the id is in `state`. Source: v1.3.1, `selfservice/strategy/oidc/strategy.go`."""
    return path == PATH or path.startswith(f"{PATH}/")
