"""`/api/me/password`: the member changes its password."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, SecretStr, StringConstraints

from integration.api.authentication import SessionCalling
from integration.api.clients import AskedFor
from integration.dependencies import UsesServices
from integration.members import own_password

router = APIRouter(prefix="/api/me/password", tags=["me"])

# Longer ones are refused by the rules, in words; this only keeps bodies small.
Password = Annotated[SecretStr, StringConstraints(min_length=1, max_length=1024)]


class PasswordChange(BaseModel):
    current: Password
    new: Password


class PasswordChanged(BaseModel):
    """It is changed, and every session has ended: whoever goes on logs in first."""

    reauthentication_required: bool = True


@router.post("")
def change_password(
    wanted: PasswordChange, caller: SessionCalling, client: AskedFor, services: UsesServices
) -> PasswordChanged:
    """Change the password; every session ends, the caller's too, and a mail tells of it.

    Needs the session itself: 403 `session_required` for an access token alone.
    403 `current_password_wrong`; 422 with every rule that the new one breaks in `errors`
    (`password_reused` among them); 429 after too many wrong ones, with `Retry-After`.
    """
    own_password.change(
        services.edge,
        client,
        identifier=caller.member.email or "",
        current=wanted.current.get_secret_value(),
        new=wanted.new.get_secret_value(),
    )
    return PasswordChanged()
