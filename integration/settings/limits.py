"""The numbers of the limits, as an operator writes them.

A lock-out is `failures/window/block`, with `/longest block` where blocks grow; an allowance is
`number/window`, several joined by commas. Durations are ISO 8601: `5/PT15M/PT30M`. What is not
set comes from the profile.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints, TypeAdapter
from pydantic.functional_validators import AfterValidator
from pydantic_settings import BaseSettings

_DURATION = TypeAdapter(timedelta)
_NUMBER = re.compile(r"[1-9][0-9]{0,4}\Z")
_MOST = 10_000


def read_parts(text: str) -> tuple[int, tuple[timedelta, ...]]:
    """Read `5/PT15M/PT30M`.

    Raises:
        ValueError: it is not a number from 1 to 10,000 and positive durations.
    """
    number, *durations = (part.strip() for part in text.split("/"))
    if not _NUMBER.match(number) or int(number) > _MOST or not durations:
        raise ValueError("write it as number/duration, such as 5/PT15M")
    spans = tuple(_DURATION.validate_python(part) for part in durations)
    if any(span < timedelta(milliseconds=1) for span in spans):
        raise ValueError("every duration must be positive")
    return int(number), spans


def _lockout(text: str) -> str:
    _, spans = read_parts(text)
    if len(spans) not in (2, 3):
        raise ValueError("write it as failures/window/block, such as 5/PT15M/PT30M")
    if len(spans) == 3 and spans[2] < spans[1]:
        raise ValueError("the longest block is at least as long as the first")
    return text


def _allowance(text: str) -> str:
    if any(len(read_parts(part)[1]) != 1 for part in text.split(",")):
        raise ValueError("write it as number/window, such as 5/PT1H, 10/P1D")
    return text


def _share(text: str) -> str:
    if len(read_parts(text)[1]) != 1:
        raise ValueError("write it as number/window, such as 3000/PT1M")
    return text


Lockout = Annotated[str, StringConstraints(max_length=100), AfterValidator(_lockout)]
Allowance = Annotated[str, StringConstraints(max_length=200), AfterValidator(_allowance)]
Share = Annotated[str, StringConstraints(max_length=100), AfterValidator(_share)]


class LimitSettings(BaseSettings):
    """How often what may be tried."""

    limits_profile: Literal["seed", "strict"] = Field(
        default="seed",
        description="`seed`: 5 failed attempts in 15 minutes from one address, then 30 minutes "
        "blocked, and fair limits beside it; `strict`: tighter. Any number below overrides it.",
    )
    limit_address: Lockout | None = Field(
        default=None, description="Failed attempts from one address: `5/PT15M/PT30M`."
    )
    limit_network: Lockout | None = Field(
        default=None, description="Failed attempts from one IPv4 /24: `50/PT15M/PT30M`."
    )
    limit_network_v6: Lockout | None = Field(
        default=None, description="Failed attempts from one IPv6 /64: `20/PT15M/PT30M`."
    )
    limit_pair: Lockout | None = Field(
        default=None,
        description="Failed attempts of one address on one account: `8/PT12H/PT30M/PT12H`. "
        "Counted from the address's second failure on.",
    )
    limit_account: Lockout | None = Field(
        default=None,
        description="Failed attempts on one account from wherever: `20/PT12H/PT1M/PT15M`. "
        "Waits double up to the longest; never for ever.",
    )
    limit_second_factor: Lockout | None = Field(
        default=None,
        description="Wrong second factors of one account, from known devices too: "
        "`10/PT12H/PT1M/PT15M`.",
    )
    limit_device: Lockout | None = Field(
        default=None,
        description="Failed attempts of a browser that has logged in to the account before: "
        "`5/PT15M/PT30M`. It passes the blocks of its account and address.",
    )
    limit_mail: Allowance | None = Field(
        default=None,
        description="Mails with a code that are asked for, for each address and each account: "
        "`1/PT1M, 5/PT1H, 10/P1D`.",
    )
    limit_registration: Allowance | None = Field(
        default=None, description="Registrations from one address: `10/PT1H, 50/P1D`."
    )
    limit_hashing: Allowance | None = Field(
        default=None,
        description="Submits from one address that cost a password hash and are no login: "
        "`60/PT1H`.",
    )
    limit_questions: Share = Field(
        default="3000/PT1M",
        description="Questions about permissions that one member asks with its session or access "
        "token and that are not answered from memory: so many at once, and again within each "
        "window. An explanation counts as 30. API keys are not counted: their batches take turns.",
    )
    limit_loopback_factor: PositiveInt = Field(
        default=1,
        le=1000,
        description="Multiplies the numbers of mails, registrations and hashing for clients on "
        "loopback; lock-outs stay as they are. `make up` sets 100.",
    )
    limit_alarm_accounts: PositiveInt = Field(
        default=200,
        description="So many accounts with failed attempts within one hour raise the alarm "
        "`stuffing_suspected` in the log. Nothing is blocked.",
    )
    device_lifetime: timedelta = Field(
        default=timedelta(days=180),
        gt=timedelta(0),
        description="How long after its last login a browser counts as known.",
    )
