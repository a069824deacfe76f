"""What becomes of a refresh token that somebody presents: a pure table of cases.

A used token that comes again means that two parties have it, and nobody can tell which of them
is the member: both are logged out. One case is no theft: an answer that got lost. Its client asks
again soon, and gets the same successor, as long as nobody has used that. Sources: RFC 9700,
section 4.14; docs/tokens.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login
from policies.token_risk import Risk

REPLAY_WINDOW = timedelta(seconds=60)
"""How long after its use a token still gives its successor to the client that used it."""


class Presented(StrEnum):
    """Which of its family's tokens this is."""

    CURRENT = "current"
    PREVIOUS = "previous"  # the one before; its successor was not used yet
    OLDER = "older"  # before that, or it claims to be
    INVALID = "invalid"  # none of this family, though it names it


class Proof(StrEnum):
    """What became of the proof of possession (RFC 9449)."""

    NOT_NEEDED = "not_needed"
    VALID = "valid"
    WRONG = "wrong"  # missing, broken, of another key, or used before


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """What is known when a token of a known family is presented.

    Attributes:
        rotated_at: When the current token was made, unless it is the first.
        is_same_client: It comes from the client that got the current token.
        session_ends_at: When the session is over, by its end, its greatest age or for want of
            use (`policies.sessions.ends_at`); None when there is no such session.
        needs_second_factor: The session is held, or its member, its role or its own factor asks for
            one (`policies.step_up`).
        status: None when there is no such member.
    """

    presented: Presented
    proof: Proof
    is_same_client: bool
    is_family_over: bool
    rotated_at: datetime | None
    expires_at: datetime
    is_session_over: bool
    session_ends_at: datetime | None
    needs_second_factor: bool
    status: Status | None
    risk: Risk
    now: datetime


@dataclass(frozen=True, slots=True)
class Rotate:
    """Give the successor; the presented token is used from now on."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Give the successor once more; nothing changes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Give nothing.

    Attributes:
        code: Stable name of the reason.
        ends_session: The session ends, and with it everything that hangs on it.
        is_theft: The member is told.
    """

    code: str
    ends_session: bool = False
    is_theft: bool = False


RefreshDecision = Rotate | Replay | Refuse

HELD = "session_aal2_required"
REUSED = "refresh_token_reused"
_OVER = Refuse("session_ended")


def decide_refresh(facts: RefreshFacts) -> RefreshDecision:
    """Decide, the gravest first.

    Without its key a bound token is worth nothing, so that a wrong proof is refused and changes
    nothing: else whoever finds a token could log its owner out.
    """
    if facts.is_family_over or facts.is_session_over or facts.session_ends_at is None:
        return _OVER
    if facts.proof is Proof.WRONG:
        return Refuse("dpop_proof_invalid")
    if facts.presented is Presented.INVALID:
        return Refuse("refresh_token_invalid", ends_session=True)
    if facts.presented is Presented.OLDER or _is_reused(facts):
        return Refuse(REUSED, ends_session=True, is_theft=True)
    if facts.now >= min(facts.expires_at, facts.session_ends_at):
        return Refuse("refresh_token_expired", ends_session=True)
    return _of_the_member(facts) or (Rotate() if facts.presented is Presented.CURRENT else Replay())


def _is_reused(facts: RefreshFacts) -> bool:
    if facts.presented is not Presented.PREVIOUS:
        return False
    since = facts.rotated_at
    in_time = since is not None and facts.now - since <= REPLAY_WINDOW
    return not (in_time and facts.is_same_client)


def _of_the_member(facts: RefreshFacts) -> Refuse | None:
    status = decide_login(facts.status)
    if isinstance(status, Deny):
        return Refuse(status.reasons[0].code)
    if facts.needs_second_factor or facts.risk is Risk.STEP_UP:
        return Refuse(HELD)
    if facts.risk is Risk.REFUSE:
        return Refuse("refresh_refused", ends_session=True, is_theft=True)
    return None
