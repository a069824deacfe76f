"""How long a session lasts, which ones are one too many, and which device is new."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from policies import user_agents

LIFESPAN = timedelta(hours=168)
"""How long Kratos' session lasts from its last authentication or extension: `session.lifespan`
in kratos/kratos.yml."""
EXTENSION_STEP = timedelta(days=1)
"""A session in use is extended once it lost this much of its lifespan."""


@dataclass(frozen=True, slots=True)
class Device:
    """Whence a login came.

    Attributes:
        device_id: Of a browser that proved by its cookie that it was here before; else None.
        country: ISO 3166 code, or empty: unknown.
    """

    device_id: UUID | None
    user_agent: str
    country: str = ""


def last_moment(started_at: datetime, expires_at: datetime, max_age: timedelta) -> datetime:
    """Return when a session ends at the latest: Kratos' end, or its own greatest age."""
    return min(expires_at, started_at + max_age)


def is_idle(last_activity_at: datetime, now: datetime, timeout: timedelta | None) -> bool:
    """Tell whether a session was left alone for too long; never without a timeout."""
    return timeout is not None and now - last_activity_at > timeout


def ends_at(
    *,
    started_at: datetime,
    expires_at: datetime,
    last_activity_at: datetime,
    max_age: timedelta,
    idle_timeout: timedelta | None,
) -> datetime:
    """Return from when on a session is over if nobody uses it again."""
    last = last_moment(started_at, expires_at, max_age)
    return last if idle_timeout is None else min(last, last_activity_at + idle_timeout)


def is_to_extend(
    *,
    started_at: datetime,
    expires_at: datetime,
    last_activity_at: datetime,
    max_age: timedelta,
    now: datetime,
) -> bool:
    """Tell whether a session that is in use should get its whole lifespan again.

    Not when it is over, and not when it reaches its greatest age before it would end anyway.
    """
    if expires_at <= now or expires_at >= started_at + max_age:
        return False
    renewed_at = expires_at - LIFESPAN
    return last_activity_at - renewed_at >= EXTENSION_STEP


def why_over(
    *,
    started_at: datetime,
    expires_at: datetime,
    last_activity_at: datetime,
    max_age: timedelta,
    idle_timeout: timedelta | None,
    now: datetime,
) -> str | None:
    """Return why a session is over, or None: it is not.

    `expired` is Kratos' own end, which somebody may have moved since; `too_old` and `idle` are
    ours, and Kratos has to be told.
    """
    if expires_at < now:
        return "expired"
    if started_at + max_age < now:
        return "too_old"
    return "idle" if is_idle(last_activity_at, now, idle_timeout) else None


def is_known(device: Device, earlier: Sequence[Device]) -> bool:
    """Tell whether a member has logged in from this device before.

    A browser proves it by its cookie: one without is another one, whatever it says. Apps, which
    keep no cookies, are the same when they call themselves the same and come from the same
    country, as far as countries are known.
    """
    if device.device_id is not None:
        return any(each.device_id == device.device_id for each in earlier)
    if user_agents.is_browser(device.user_agent):
        return False
    return any(
        each.device_id is None
        and each.user_agent == device.user_agent
        and (each.country == device.country or "" in (each.country, device.country))
        for each in earlier
    )
