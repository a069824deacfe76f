"""`/api/me`: the member who is calling."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from integration.api.authentication import MemberCalling

router = APIRouter(prefix="/api/me", tags=["me"])


class ProfileView(BaseModel):
    """A member's profile, as the member itself sees it."""

    model_config = ConfigDict(from_attributes=True)

    display_name: str
    bio: str
    is_public: bool
    notifications: dict[str, Any]
    privacy: dict[str, Any]


class MemberView(BaseModel):
    """The member who is calling."""

    id: UUID
    email: str
    username: str
    first_name: str
    last_name: str
    role: str
    status: str
    registered_at: datetime
    last_login: datetime | None
    login_count: int
    profile: ProfileView


@router.get("")
def get_me(caller: MemberCalling) -> MemberView:
    """Return the member; 401 without a session, 403 when its state does not let it in."""
    member = caller.member
    return MemberView(
        id=member.identity_id,
        email=member.email or "",
        username=member.username or "",
        first_name=member.first_name,
        last_name=member.last_name,
        role=member.role,
        status=member.status,
        registered_at=member.registered_at,
        last_login=member.last_login_at,
        login_count=member.login_count,
        profile=ProfileView.model_validate(caller.profile),
    )
