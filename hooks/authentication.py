"""Proves that our Kratos is calling."""

import hmac
from typing import Annotated

from fastapi import Depends, Header

from integration.dependencies import UsesServices
from integration.errors import UnauthenticatedError

HEADER = "X-Kleis-Hook-Secret"


def require_hook_secret(
    services: UsesServices,
    secret: Annotated[str, Header(alias=HEADER)] = "",
) -> None:
    """Let only callers through that know the secret.

    Raises:
        UnauthenticatedError: the header is missing or wrong.
    """
    expected = services.settings.hook_secret.get_secret_value()
    if not hmac.compare_digest(secret.encode(), expected.encode()):
        raise UnauthenticatedError("This address is for Kratos alone.")


FromKratos = Depends(require_hook_secret)
