"""What an operator may set about decisions on permissions."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings


class DecisionSettings(BaseSettings):
    """How permissions are asked, remembered and logged."""

    decision_timeout: timedelta = Field(
        default=timedelta(seconds=1),
        gt=timedelta(0),
        description="Longest a decision on a permission may take, settling and asking Keto "
        "together; later it is denied.",
    )
    decision_cache_bytes: PositiveInt = Field(
        default=64 * 1024 * 1024, description="Memory for remembered decisions, in each edge."
    )
    decision_cache_lifetime: timedelta = Field(
        default=timedelta(minutes=5),
        gt=timedelta(0),
        description="Longest a decision is remembered. What Kleis changes is heard at once; this "
        "bounds how late a tuple is seen that was written straight into Keto.",
    )
    decision_last_known: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        description="While Keto does not answer, how much longer a remembered permit to view or "
        "find is believed. `PT0S`: not at all.",
    )
    decision_log_sample: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of the allowed decisions that is logged. Denials all are, but of one "
        "subject that asks without an API key at most 1,000 a minute.",
    )
    decision_log_lifetime: timedelta = Field(
        default=timedelta(days=30),
        gt=timedelta(0),
        description="How long a logged decision is kept.",
    )
    forward_auth_rules: Path | None = Field(
        default=None,
        description="File with the rules of `/api/forward-auth` (YAML). Unset: it denies.",
    )
    forward_auth_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs `X-Kleis-Context` (HS256); give it to the applications that verify it. "
        "Unset: the header is not sent.",
    )
