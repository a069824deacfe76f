"""How risky a refresh looks: the one place that says so.

Nothing is held against a refresh yet. Whoever changes that decides on these facts alone.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Risk(StrEnum):
    """What follows from how a refresh looks."""

    ALLOW = "allow"
    STEP_UP = "step_up"  # ask for a second factor first
    REFUSE = "refuse"  # end the session and tell the member


@dataclass(frozen=True, slots=True)
class RefreshSigns:
    """What is known of a refresh besides its token.

    Attributes:
        is_bound: The client proved possession of its key.
        is_same_client: It is the client that got the token.
        idle: Since the token was given.
    """

    is_bound: bool
    is_same_client: bool
    idle: timedelta


def assess(signs: RefreshSigns) -> Risk:
    """Return what these signs call for."""
    del signs
    return Risk.ALLOW
