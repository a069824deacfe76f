"""Forms in which settings are written."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import NoDecode


def split(value: object) -> object:
    """Read `a, b` as a list: friendlier in an environment than JSON."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


CommaSeparated = Annotated[
    frozenset[Annotated[str, StringConstraints(to_lower=True)]], NoDecode, BeforeValidator(split)
]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(split)]
Port = Annotated[int, Field(ge=1, le=65535)]
Secret = Annotated[SecretStr, Field(min_length=16)]
