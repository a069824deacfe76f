"""The life of a member as data: every state, every arrow, who may take it, what follows.

Nothing else in Kleis decides whether a state may follow another. A guest has no row: the
state before the first is None. Arrows of the specification's diagram and arrows of our own
stand in two tables, the latter each with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from policies.decisions import (
    DeleteIdentity,
    Deny,
    Effect,
    EndSessions,
    PublishEvent,
    Reason,
    SendMail,
    SyncAuthority,
    SyncIdentity,
)


class Status(StrEnum):
    """State of a member, as stored, shown, and copied to `metadata_public.status`."""

    PENDING_REGISTRATION = "pending_registration"
    PENDING_VERIFICATION = "pending_verification"
    EXPIRED = "expired"
    # The specification's "Authenticated": came by OAuth, profile incomplete.
    PROVISIONAL = "provisional"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    BANNED = "banned"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


class Trigger(StrEnum):
    """What happened that moves a member from one state to the next."""

    START_REGISTRATION = "start_registration"
    SUBMIT_REGISTRATION = "submit_registration"
    VERIFY_EMAIL = "verify_email"
    VERIFICATION_TIMEOUT = "verification_timeout"
    RESEND_VERIFICATION = "resend_verification"
    POLICY_VIOLATION = "policy_violation"
    USER_REQUEST = "user_request"
    SEVERE_VIOLATION = "severe_violation"
    APPEAL_APPROVED = "appeal_approved"
    REPEAT_VIOLATION = "repeat_violation"
    REACTIVATION_REQUEST = "reactivation_request"
    PERMANENT_DELETION = "permanent_deletion"
    OAUTH_LOGIN = "oauth_login"
    COMPLETE_PROFILE = "complete_profile"
    AUTO_MODERATION = "auto_moderation"
    # Ours; the reasons are in OUR_TRANSITIONS.
    RESUME_REGISTRATION = "resume_registration"
    UNVERIFIED_TOO_LONG = "unverified_too_long"
    ADMIN_DISABLE = "admin_disable"
    ADMIN_ENABLE = "admin_enable"
    ADMIN_DELETION = "admin_deletion"


class Actor(StrEnum):
    """Who brings a trigger about."""

    MEMBER = "member"
    PROVIDER = "provider"  # an OAuth provider that vouches for the person
    SYSTEM = "system"  # sweeps, the reconciler, automatic moderation
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow.

    Attributes:
        source: Where it starts; None is a guest, who has no row.
        actors: Who may take it.
        effects: What it brings about, in this order.
        ours: Why we draw an arrow the specification does not; empty for its own.
    """

    source: Status | None
    trigger: Trigger
    target: Status
    actors: frozenset[Actor]
    effects: tuple[Effect, ...] = ()
    ours: str = ""


_NOBODY_TO_MOVE = Deny((Reason("transition_unknown", "There is no such account."),))
_NOT_FROM_HERE = Deny(
    (Reason("transition_not_allowed", "The account is in a state that does not allow this."),)
)
_NOT_BY_YOU = Deny((Reason("actor_not_allowed", "You may not do this to the account."),))

_MEMBER = frozenset({Actor.MEMBER})
_ADMIN = frozenset({Actor.ADMIN})
# The system also stands in for others, where the reconciler finds what Kratos knows already.
_SYSTEM = frozenset({Actor.SYSTEM})
_STAFF = frozenset({Actor.MODERATOR, Actor.ADMIN})
_REGISTRARS = frozenset({Actor.MEMBER, Actor.ADMIN, Actor.SYSTEM})
_VERIFIERS = frozenset({Actor.MEMBER, Actor.PROVIDER, Actor.SYSTEM})

# The application decides what to do with it; no channel is subscribed to at sign-up.
_REGISTERED = PublishEvent(
    "member.registered", (("default_playlists", True), ("default_channels", False))
)
_ACTIVATED: tuple[Effect, ...] = (SyncAuthority(), SyncIdentity())
_WELCOMED: tuple[Effect, ...] = (
    *_ACTIVATED,
    SendMail("welcome"),
    PublishEvent("member.verified"),
)
# The gate in Keto closes first: from then on nothing else that is late can do harm.
_SHUT_OUT: tuple[Effect, ...] = (SyncAuthority(), SyncIdentity(), EndSessions())
# Kratos revives the sessions of an identity it enables, so they go first.
_LET_BACK_IN: tuple[Effect, ...] = (
    EndSessions(),
    SyncIdentity(enable=True),
    SyncAuthority(),
)
_GONE = (*_SHUT_OUT, SendMail("account_deactivated"), PublishEvent("member.deactivated"))
_BACK = (*_LET_BACK_IN, SendMail("account_reactivated"), PublishEvent("member.reactivated"))
_REMOVED: tuple[Effect, ...] = (SyncAuthority(), EndSessions(), DeleteIdentity())

_S, _T = Status, Trigger

# fmt: off
SPECIFIED_TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, _T.START_REGISTRATION, _S.PENDING_REGISTRATION,
               _REGISTRARS),
    Transition(None, _T.OAUTH_LOGIN, _S.PROVISIONAL,
               _VERIFIERS, (_REGISTERED,)),
    Transition(_S.PENDING_REGISTRATION, _T.SUBMIT_REGISTRATION, _S.PENDING_VERIFICATION,
               _REGISTRARS, (_REGISTERED,)),
    Transition(_S.PENDING_VERIFICATION, _T.VERIFY_EMAIL, _S.ACTIVE,
               _VERIFIERS, _WELCOMED),
    Transition(_S.PENDING_VERIFICATION, _T.VERIFICATION_TIMEOUT, _S.EXPIRED,
               _SYSTEM, (SyncIdentity(),)),
    Transition(_S.EXPIRED, _T.RESEND_VERIFICATION, _S.PENDING_REGISTRATION,
               _VERIFIERS),
    Transition(_S.PROVISIONAL, _T.COMPLETE_PROFILE, _S.ACTIVE,
               _MEMBER, _ACTIVATED),
    Transition(_S.PROVISIONAL, _T.AUTO_MODERATION, _S.SUSPENDED,
               _SYSTEM, _SHUT_OUT),
    Transition(_S.ACTIVE, _T.POLICY_VIOLATION, _S.SUSPENDED,
               _STAFF | _SYSTEM, _SHUT_OUT),
    Transition(_S.ACTIVE, _T.USER_REQUEST, _S.DEACTIVATED,
               _MEMBER, _GONE),
    Transition(_S.ACTIVE, _T.SEVERE_VIOLATION, _S.BANNED,
               _STAFF, _SHUT_OUT),
    Transition(_S.SUSPENDED, _T.APPEAL_APPROVED, _S.ACTIVE,
               _STAFF, _LET_BACK_IN),
    Transition(_S.SUSPENDED, _T.REPEAT_VIOLATION, _S.BANNED,
               _STAFF, _SHUT_OUT),
    Transition(_S.DEACTIVATED, _T.REACTIVATION_REQUEST, _S.ACTIVE,
               _MEMBER | _ADMIN, _BACK),
    Transition(_S.DEACTIVATED, _T.PERMANENT_DELETION, _S.DELETED,
               _MEMBER | _SYSTEM, _REMOVED),
)

OUR_TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.PENDING_REGISTRATION, _T.RESUME_REGISTRATION, _S.PENDING_VERIFICATION,
               _VERIFIERS, (SyncIdentity(),),
               ours="after a resend the way is walked again, but nobody registers twice"),
    Transition(_S.EXPIRED, _T.UNVERIFIED_TOO_LONG, _S.DELETED,
               _SYSTEM, _REMOVED,
               ours="an address nobody verifies must not keep its names for ever"),
    Transition(_S.ACTIVE, _T.ADMIN_DISABLE, _S.SUSPENDED,
               _ADMIN | _SYSTEM, _SHUT_OUT,
               ours="`state: inactive` by the admin SDK means suspended"),
    Transition(_S.SUSPENDED, _T.ADMIN_ENABLE, _S.ACTIVE,
               _ADMIN, _LET_BACK_IN,
               ours="`state: active` by the admin SDK lifts a suspension, and nothing else"),
    *(
        Transition(source, _T.ADMIN_DELETION, _S.DELETED,
                   _ADMIN | _SYSTEM, _REMOVED,
                   ours="DELETE by the admin SDK means deleted, whatever the state was")
        for source in Status if source is not Status.DELETED
    ),
)
# fmt: on

TRANSITIONS: tuple[Transition, ...] = SPECIFIED_TRANSITIONS + OUR_TRANSITIONS

# Where the diagram ends. A banned member stays banned; only an admin may still delete the rest.
FINAL: frozenset[Status] = frozenset({Status.BANNED, Status.DELETED})

_ARROWS = {(arrow.source, arrow.trigger): arrow for arrow in TRANSITIONS}
_SHUT_IN_KRATOS = frozenset({Status.SUSPENDED, Status.BANNED, Status.DEACTIVATED, Status.DELETED})


def decide_transition(current: Status | None, trigger: Trigger, actor: Actor) -> Transition | Deny:
    """Decide whether `actor` may take a member from `current` along `trigger`.

    Returns:
        The arrow, with its target and effects; or a denial whose code is `transition_unknown`
        (there is nobody to move), `transition_not_allowed` (not from this state) or
        `actor_not_allowed`.
    """
    arrow = _ARROWS.get((current, trigger))
    if arrow is None:
        return _NOBODY_TO_MOVE if current is None else _NOT_FROM_HERE
    return arrow if actor in arrow.actors else _NOT_BY_YOU


def decide_walk(
    current: Status | None, triggers: Sequence[Trigger], actor: Actor
) -> tuple[Transition, ...] | Deny:
    """Decide several arrows in a row, to be taken in one transaction or not at all."""
    walked: list[Transition] = []
    for trigger in triggers:
        step = decide_transition(current, trigger, actor)
        if isinstance(step, Deny):
            return step
        walked.append(step)
        current = step.target
    return tuple(walked)


def effects_of(walk: Sequence[Transition]) -> tuple[Effect, ...]:
    """List what a walk brings about, in order; what repeats counts where it comes last."""
    effects = [effect for arrow in walk for effect in arrow.effects]
    return tuple(reversed(dict.fromkeys(reversed(effects))))


def leads_out_of_active(trigger: Trigger) -> bool:
    """Tell whether an active member that takes this arrow is active no more."""
    return (Status.ACTIVE, trigger) in _ARROWS


def may_have_session(status: Status | None) -> bool:
    """Tell whether somebody in this state may be logged in."""
    return status is Status.ACTIVE


def is_enabled_in_kratos(status: Status) -> bool:
    """Tell whether the identity's `state` is `active`, so that its flows run at all.

    Persons who still have to verify are enabled: verification and recovery need it.
    """
    return status not in _SHUT_IN_KRATOS
