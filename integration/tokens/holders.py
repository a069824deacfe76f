"""What a holder's facts mean: how long its session lasts, what tokens say of it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from integration.db.token_holders import Bounds, Holder
from integration.settings import Settings
from policies import sessions, step_up
from policies.access_claims import Subject
from policies.authority import Role
from policies.lifecycle import Status
from policies.permissions import Permission, names_held
from policies.step_up import Standing

_EVER = datetime.min.replace(tzinfo=UTC)


def bounds(settings: Settings, now: datetime) -> Bounds:
    """Return what a session must keep to, for the statements that decide on it."""
    idle = settings.idle_after
    return Bounds(
        begun_after=now - settings.session_max_age,
        used_after=_EVER if idle is None else now - idle,
        second_factor_roles=list(settings.second_factor_roles),
    )


def session_ends_at(settings: Settings, holder: Holder) -> datetime | None:
    """Return when the session is over if nobody uses it again; None: there is none."""
    if holder.started_at is None:
        return None
    return sessions.ends_at(
        started_at=holder.started_at,
        expires_at=holder.session_expires_at,
        last_activity_at=holder.last_activity_at,
        max_age=settings.session_max_age,
        idle_timeout=settings.idle_after,
    )


def needs_second_factor(settings: Settings, holder: Holder) -> bool:
    """Tell whether the session is good for nothing before a second factor."""
    standing = Standing(
        aal=holder.aal,
        hold=holder.hold,
        has_second_factor=holder.has_second_factor,
        requires_second_factor=holder.requires_second_factor,
        role=holder.role,
    )
    return step_up.needs_second_factor(standing, settings.second_factor_roles)


def subject(settings: Settings, holder: Holder, *, identity_id: UUID, session_id: UUID) -> Subject:
    """Return what an access token says of an active member with a session."""
    started_at = holder.started_at or holder.authenticated_at
    return Subject(
        identity_id=str(identity_id),
        session_id=str(session_id),
        authenticated_at=holder.authenticated_at,
        session_expires_at=sessions.last_moment(
            started_at, holder.session_expires_at, settings.session_max_age
        ),
        methods=holder.methods,
        aal=holder.aal,
        role=holder.role,
        status=Status.ACTIVE,
        permissions=_names(holder.role, tuple(holder.added), tuple(holder.granted)),
    )


# As in `policies.access_claims.capped`, for the same reason.
@lru_cache(maxsize=1024)
def _names(role: str, added: tuple[str, ...], granted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(names_held(Role(role), _added(added), granted))


def _added(shown: Iterable[str]) -> list[Permission]:
    pairs = (each.split(" ", 1) for each in shown)
    return [Permission(name, "", Role(role)) for role, name in pairs]
