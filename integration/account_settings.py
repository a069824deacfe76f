"""What an operator sets about how members change their accounts."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings


class AccountSettings(BaseSettings):
    """A part of `integration.settings.Settings`."""

    email_change_lifetime: timedelta = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description="How long a member has to confirm a new e-mail address.",
    )
    email_revert_lifetime: timedelta = Field(
        default=timedelta(days=7),
        gt=timedelta(0),
        description="How long the old address can take a change of address back.",
    )
