"""The settings of accounts: who may register, what a password must be, how long things wait."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from integration.settings.forms import CommaSeparated
from policies.passwords import PasswordProfile


class AccountSettings(BaseSettings):
    """Rules of registration and of what an account may change."""

    blocked_emails: CommaSeparated = Field(
        default=frozenset(), description="Addresses that may not register, comma-separated."
    )
    blocked_email_domains: CommaSeparated = Field(
        default=frozenset(),
        description="Domains that may not register, with their subdomains, comma-separated.",
    )
    allow_disposable_email: bool = Field(
        default=False, description="Let addresses of throw-away mail services register."
    )
    reserved_usernames: CommaSeparated = Field(
        default=frozenset(),
        description="Usernames nobody may take, besides the built-in list, comma-separated.",
    )
    password_profile: PasswordProfile = Field(
        default=PasswordProfile.SEED,
        description="Rules for new passwords. `seed`: 8 characters, a capital and a small letter, "
        "a digit, a special character. `nist`: 15 characters (8 with a second factor), strength "
        "instead of kinds of characters. Both: no common password, no name, none used before.",
    )
    unverified_lifetime: timedelta = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description="After this long without verifying, a member is `expired`.",
    )
    expired_lifetime: timedelta = Field(
        default=timedelta(days=30),
        gt=timedelta(0),
        description="After this long as `expired`, the identity is deleted and its names are free.",
    )
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
    login_attempts_lifetime: timedelta = Field(
        default=timedelta(days=90),
        gt=timedelta(0),
        description="How long the record of a login attempt is kept.",
    )
