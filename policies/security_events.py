"""What a member should know of the safety of its account."""

from datetime import datetime, timedelta
from enum import StrEnum

# A hook that was not heard is told again within a minute and a half.
TOLD_AGAIN = timedelta(minutes=2)
"""How long what happened once may be told of again."""


class Kind(StrEnum):
    """What happened, as listed at `/api/me/security-events`."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    PASSWORD_REMOVED = "password_removed"  # noqa: S105 - a name
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGE_ENDED = "email_change_ended"
    EMAIL_CHANGED = "email_changed"
    EMAIL_REVERTED = "email_reverted"
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    CONNECTION_ADDED = "connection_added"
    CONNECTION_REMOVED = "connection_removed"
    NEW_DEVICE = "new_device"
    SESSIONS_ENDED = "sessions_ended"
    DEACTIVATED = "deactivated"
    REACTIVATED = "reactivated"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a name


def decide_factor_event(
    last: tuple[Kind, datetime] | None, *, is_set: bool, now: datetime
) -> Kind | None:
    """Decide what to record when a second factor came, went, or was made anew.

    Args:
        last: The newest event about it.

    Returns:
        None when this was recorded already and is only told again.
    """
    kind = Kind.SECOND_FACTOR_ADDED if is_set else Kind.SECOND_FACTOR_REMOVED
    is_known = last is not None and last[0] is kind and now - last[1] < TOLD_AGAIN
    return None if is_known else kind
