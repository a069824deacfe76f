"""When a session must prove a second factor before it is good for anything.

Kratos itself asks nobody (`required_aal: aal1`): the edge and the API ask here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

AAL1, AAL2 = "aal1", "aal2"
PRIVILEGED_FOR = timedelta(minutes=15)
"""How long after a proof of who one is a password, an address, a second factor may be changed."""
# Clocks of two machines may differ by this much; more is somebody's invention.
_CLOCK_SKEW = timedelta(minutes=1)

MAILED_CODE = "code"
SECOND_FACTORS = frozenset({"totp", "lookup_secret", "webauthn", MAILED_CODE})
ENROLLED_FACTORS = frozenset({"totp", "lookup_secret", "webauthn"})

RECOVERED = "recovered"
"""Hold of a session that began with a password older than the recovery of the account."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a session and its member.

    Attributes:
        aal: Kratos' word: `aal1` or `aal2`.
        hold: Why this session is held; None: it is not.
        has_second_factor: The member enrolled TOTP or look-up codes.
        requires_second_factor: The member asks for it itself.
        role: The member's role.
    """

    aal: str
    hold: str | None = None
    has_second_factor: bool = False
    requires_second_factor: bool = False
    role: str = "user"


def needs_second_factor(standing: Standing, roles: Iterable[str] = ()) -> bool:
    """Tell whether the session is good for nothing until a second factor is given.

    Args:
        roles: Whose members need one.
    """
    if standing.hold is not None:
        return True
    if standing.aal == AAL2:
        return False
    return (
        standing.has_second_factor
        or standing.requires_second_factor
        or standing.role in frozenset(roles)
    )


def asks_to_enrol(role: str, roles: Iterable[str], *, has_second_factor: bool) -> bool:
    """Tell whether a member's role needs a second factor and the mailbox is all there is.

    Args:
        roles: Whose members need one.
    """
    return role in frozenset(roles) and not has_second_factor


def takes_mailed_code(*, has_second_factor: bool) -> bool:
    """Tell whether a mailed code counts: not beside a factor that is not the mailbox."""
    return not has_second_factor


def groups_offered(groups: Iterable[str]) -> frozenset[str]:
    """Return which groups of a second-factor flow's fields are shown: see `takes_mailed_code`."""
    given = frozenset(groups)
    return given if given.isdisjoint(ENROLLED_FACTORS) else given - {MAILED_CODE}


def is_second_factor(methods: Iterable[str], aal: str) -> bool:
    """Tell whether the latest proof of a session was a second factor.

    Args:
        methods: Kratos' names in order, the latest last.
    """
    given = tuple(methods)
    return aal == AAL2 and len(given) > 1 and given[-1] in SECOND_FACTORS


def hold_after_recovery(methods: Iterable[str]) -> str | None:
    """Return why a session that begins is held if its account was recovered, or None.

    Whoever registered with somebody else's address still knows the old password after the owner
    got the account back: until a new one is chosen, the mailbox must agree.
    """
    return RECOVERED if "password" in tuple(methods) else None


def is_recent(authenticated_at: datetime | None, now: datetime) -> bool:
    """Tell whether the person proved who it is recently enough for what is privileged."""
    if authenticated_at is None or authenticated_at > now + _CLOCK_SKEW:
        return False
    return now - authenticated_at <= PRIVILEGED_FOR
