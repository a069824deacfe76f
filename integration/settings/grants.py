"""The settings of grants: what nobody may hold together, and how long an elevation lasts."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode

from integration.settings.limits import Share
from policies.permissions import check_name


def _pairs(value: object) -> object:
    """Read `a+b, c+d` as pairs.

    Raises:
        ValueError: one of them is no pair of different permissions.
    """
    if not isinstance(value, str):
        return value
    pairs = [item.strip() for item in value.split(",") if item.strip()]
    return frozenset(_pair(item) for item in pairs)


def _pair(text: str) -> tuple[str, str]:
    one, _, other = (part.strip() for part in text.partition("+"))
    if one == other or check_name(one) or check_name(other):
        raise ValueError("write pairs such as payments.create+payments.approve")
    return one, other


Pairs = Annotated[frozenset[tuple[str, str]], NoDecode, BeforeValidator(_pairs)]


class GrantSettings(BaseSettings):
    """Who may not be granted what, and for how long permissions are lent."""

    conflicting_permissions: Pairs = Field(
        default=frozenset(),
        description="Permissions nobody may be granted beside each other, as pairs: "
        "`payments.create+payments.approve`, comma-separated. Admins hold everything by role.",
    )
    grant_expiry_period: timedelta = Field(
        default=timedelta(seconds=1),
        gt=timedelta(0),
        description="How often grants whose time is over are ended. Checks through the edge need "
        "no such look.",
    )
    elevation_longest: timedelta = Field(
        default=timedelta(hours=8),
        gt=timedelta(0),
        le=timedelta(days=30),
        description="Longest time a member may ask a permission for.",
    )
    elevation_request_lifetime: timedelta = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description="After this long, a request that nobody decided has lapsed.",
    )
    elevation_requests: Share = Field(
        default="10/PT1H",
        description="How often one member may ask for permissions for a while.",
    )
