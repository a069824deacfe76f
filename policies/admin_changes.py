"""What an admin's change to an identity in Kratos means for the member, and what it may touch.

Such a change fires no hook. Which arrow it is stands in `policies.lifecycle`; here is only which
arrow is meant.
"""

from dataclasses import dataclass
from enum import StrEnum

from policies.decisions import Allow, Decision, Deny
from policies.lifecycle import (
    Actor,
    Status,
    Trigger,
    decide_transition,
    is_enabled_in_kratos,
)

# Written by us alone: they follow from the member's row.
OUR_METADATA = frozenset({"status", "role"})

_WHOLE = frozenset({"/state", "/schema_id", "/traits", "/metadata_public", "/metadata_admin"})
_BELOW = ("traits", "metadata_public", "metadata_admin")
_UNVERIFIED = frozenset({Status.PENDING_REGISTRATION, Status.PENDING_VERIFICATION, Status.EXPIRED})


class Move(StrEnum):
    """What happens to the member, in words of `integration.members`."""

    REGISTER = "register"
    VERIFY = "verify"
    DISABLE = "disable"
    ENABLE = "enable"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Seen:
    """An identity after the change.

    Attributes:
        asked_to_enable: The change itself set `state: active`; else an identity that is enabled
            may only be one that Kratos has not been told of yet.
    """

    enabled: bool
    email_verified: bool
    asked_to_enable: bool


def may_be_patched(path: str) -> bool:
    """Tell whether a JSON pointer names something an admin may patch.

    Kratos itself refuses three paths only, and takes a password hash at
    `/credentials/password/config/hashed_password` unchecked (v1.3.1, running).
    """
    if path in _WHOLE:
        return True
    segments = [_unescaped(segment) for segment in path.split("/")]
    if len(segments) < 3 or segments[0] != "" or segments[1] not in _BELOW:
        return False
    return not (segments[1] == "metadata_public" and segments[2] in OUR_METADATA)


def decide_enabling(status: Status | None) -> Decision:
    """Decide, before Kratos is told, whether an admin may set `state: active`."""
    if status is None or is_enabled_in_kratos(status):
        return Allow()
    arrow = decide_transition(status, Trigger.ADMIN_ENABLE, Actor.ADMIN)
    return arrow if isinstance(arrow, Deny) else Allow()


def decide_moves(status: Status | None, after: Seen | None) -> tuple[Move, ...]:
    """Decide how a member follows a change that Kratos has stored.

    Args:
        status: The member's; None when there is no member yet.
        after: None when the identity was deleted.
    """
    if after is None:
        return () if status in (None, Status.DELETED) else (Move.DELETE,)
    if status is None:
        return (Move.REGISTER, *decide_moves(Status.PENDING_VERIFICATION, after))
    if status is Status.ACTIVE and not after.enabled:
        return (Move.DISABLE,)
    if status is Status.SUSPENDED and after.enabled and after.asked_to_enable:
        return (Move.ENABLE,)
    if status in _UNVERIFIED and after.enabled and after.email_verified:
        return (Move.VERIFY,)
    return ()


def _unescaped(segment: str) -> str:
    """Return a segment of a JSON pointer as the name it stands for (RFC 6901, section 4)."""
    return segment.replace("~1", "/").replace("~0", "~")
