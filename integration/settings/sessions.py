"""What an operator can set about sessions; part of `Settings`."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, PositiveInt, field_validator
from pydantic_settings import BaseSettings

from integration.settings.forms import CommaSeparated
from policies.authority import Role


class SessionSettings(BaseSettings):
    """How long sessions last, how they are remembered, who needs a second factor."""

    session_max_age: timedelta = Field(
        default=timedelta(days=30),
        ge=timedelta(hours=1),
        description="A session in use is extended up to this age. Without use it ends after "
        "seven days, Kratos' `session.lifespan`; a value below that turns extending off.",
    )
    session_idle_timeout: timedelta | None = Field(
        default=None,
        ge=timedelta(minutes=5),
        description="A session nobody used for this long ends. Unset: only after its lifespan.",
    )
    sessions_per_member: PositiveInt = Field(
        default=50, description="Sessions a member may have at once; one more ends the oldest."
    )
    session_activity_period: timedelta = Field(
        default=timedelta(minutes=1),
        ge=timedelta(seconds=1),
        description="How often the last use of a session is written down, at most.",
    )
    session_record_lifetime: timedelta = Field(
        default=timedelta(days=90),
        gt=timedelta(0),
        description="How long the record of a session is kept after its end. A device that is "
        "not in any record is new.",
    )
    session_cache_size: PositiveInt = Field(
        default=50_000, description="Sessions that each edge remembers, about 3 kB each."
    )
    session_cache_max_age: timedelta = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        le=timedelta(minutes=10),
        description="How long an edge answers for a session without asking Kratos: the longest "
        "that a change made past the edge, at Kratos itself, goes unseen.",
    )
    second_factor_roles: CommaSeparated = Field(
        default=frozenset(),
        description="Roles whose members need a second factor, comma-separated.",
    )
    country_database: Path | None = Field(
        default=None,
        description="An MMDB file with the countries of addresses. Unset: countries are unknown.",
    )

    @field_validator("second_factor_roles")
    @classmethod
    def _are_roles(cls, names: frozenset[str]) -> frozenset[str]:
        if unknown := names - {str(role) for role in Role}:
            raise ValueError(f"no such roles: {', '.join(sorted(unknown))}")
        return names

    @property
    def idle_after(self) -> timedelta | None:
        """After how long without a written use a session is idle: uses are written late."""
        if self.session_idle_timeout is None:
            return None
        return self.session_idle_timeout + 2 * self.session_activity_period
