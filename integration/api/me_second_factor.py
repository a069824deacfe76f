"""`/api/me/second-factor`: whether a second factor is asked for, and what the member wants."""

from fastapi import APIRouter
from pydantic import BaseModel

from integration.api.authentication import MemberCalling, RecentlyAuthenticated
from integration.db import epochs, members
from integration.dependencies import Transaction, UsesServices
from integration.errors import NotFoundError
from integration.members.callers import Caller
from integration.services import Services

router = APIRouter(prefix="/api/me/second-factor", tags=["me"])


class SecondFactorView(BaseModel):
    """Whether this member's sessions need a second factor.

    `enrolled`: it has an authenticator app or look-up codes, which are then always asked for.
    `required`: it asks for a second factor itself; without one enrolled, a mailed code counts.
    `required_by_role`: its role does, and it cannot be turned off.
    """

    enrolled: bool
    required: bool
    required_by_role: bool


class SecondFactorWish(BaseModel):
    """What the member wants."""

    required: bool


@router.get("")
def get_second_factor(caller: MemberCalling, services: UsesServices) -> SecondFactorView:
    """Return what is asked of the member."""
    return _view(caller, services, required=caller.member.requires_second_factor)


@router.put("")
def require_second_factor(
    wish: SecondFactorWish,
    caller: RecentlyAuthenticated,
    session: Transaction,
    services: UsesServices,
) -> SecondFactorView:
    """Ask for a second factor with every login from now on, or no more.

    403 `session_refresh_required` when the last login is more than 15 minutes ago. Sessions
    without a second factor need one at once, this one too.
    """
    member = members.lock(session, caller.member.identity_id)
    if member is None:
        raise NotFoundError("There is no such member.")
    if member.requires_second_factor != wish.required:
        member.requires_second_factor = wish.required
        epochs.move(session, member.identity_id)
    return _view(caller, services, required=wish.required)


def _view(caller: Caller, services: Services, *, required: bool) -> SecondFactorView:
    return SecondFactorView(
        enrolled=caller.member.second_factor,
        required=required,
        required_by_role=caller.member.role in services.settings.second_factor_roles,
    )
