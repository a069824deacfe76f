"""What an operator may set about tokens."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode

from integration.settings.forms import split

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"

Applications = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=_NAME)], ...],
    NoDecode,
    BeforeValidator(split),
    Field(min_length=1),
]


class TokenSettings(BaseSettings):
    """Access and refresh tokens."""

    applications: Applications = Field(
        default=("kleis",),
        description="Applications that tokens are issued for, comma-separated: what may stand in "
        "`aud`. The first is meant when a client names none.",
    )
    token_algorithm: Literal["EdDSA", "ES256"] = Field(
        default="EdDSA",
        description="Signs access tokens: `EdDSA` (Ed25519) or `ES256` (P-256). After a change a "
        "new key is made, published, and used once verifiers know it.",
    )
    access_token_lifetime: timedelta = Field(
        default=timedelta(minutes=15),
        ge=timedelta(seconds=10),
        le=timedelta(hours=1),
        description="How long an access token is valid, at most: never longer than its session.",
    )
    refresh_token_lifetime: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(minutes=1),
        description="How long a refresh token can be used; each refresh gives a new one.",
    )
    jwks_max_age: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="How long a verifier may keep the published keys. A new key is published this "
        "long, and a little longer, before it signs anything.",
    )
