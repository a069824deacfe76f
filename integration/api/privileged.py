"""Members who may do what is privileged: they proved who they are a short while ago."""

from typing import Annotated

from fastapi import Depends

from integration.api.authentication import Caller, MemberCalling
from integration.dependencies import UsesServices
from integration.errors import StaleSessionError
from policies.decisions import Deny
from policies.reauthentication import decide_privileged


def authenticate_recently(caller: MemberCalling, services: UsesServices) -> Caller:
    """Return the caller.

    Raises:
        StaleSessionError: it has to log in again first.
    """
    decision = decide_privileged(caller.kratos_session.authenticated_at, services.now())
    if isinstance(decision, Deny):
        raise StaleSessionError(decision.reasons[0].text)
    return caller


RecentlyAuthenticated = Annotated[Caller, Depends(authenticate_recently)]
