"""`/api/me/deactivation`: the member leaves for a while."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from integration.api.authentication import RecentlyAuthenticated
from integration.api.inputs import Reason
from integration.dependencies import Transaction, UsesServices
from integration.members import leaving

router = APIRouter(prefix="/api/me/deactivation", tags=["me"])


class Leaving(BaseModel):
    """Why, if the member wants to say."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


@router.post("", status_code=204)
def deactivate(
    wanted: Leaving, caller: RecentlyAuthenticated, session: Transaction, services: UsesServices
) -> None:
    """Deactivate the account: every session ends, and what others see of it is closed.

    A login with the right password lets one come back (`POST /api/auth/reactivate`). 403
    `session_refresh_required` when the last login is more than 15 minutes ago; 409 `last_admin`.
    """
    leaving.deactivate(session, caller.member.identity_id, wanted.reason, now=services.now())
