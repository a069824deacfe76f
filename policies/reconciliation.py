"""What to repair where Kratos, our tables and Keto disagree about one subject.

Our tables win, with two exceptions: what Kratos lost or shut stays lost and shut, and what a
person proved to Kratos counts. In doubt there is less authority afterwards, never more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from policies.authority import (
    GUEST_SUBJECT,
    GUEST_TUPLE,
    RelationTuple,
    Role,
    grant_tuples,
    ours,
    platform_tuples,
)
from policies.lifecycle import Status, is_enabled_in_kratos, may_have_session


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """One identity as Kratos shows it.

    Attributes:
        age: Since it was created.
        metadata_status: `metadata_public.status`, whatever stands there.
        metadata_role: `metadata_public.role`, whatever stands there.
        address_waits: It has a `pending_email` that is proven, or that we were not told of.
        has_second_factor: TOTP, look-up codes or a security key are enrolled.
    """

    enabled: bool
    email_verified: bool
    age: timedelta
    metadata_status: str | None
    metadata_role: str | None
    address_waits: bool = False
    has_second_factor: bool = False


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One row of ours.

    Attributes:
        second_factor: It says that the member has enrolled one.
    """

    status: Status
    role: Role
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about one subject, gathered while its advisory lock is held.

    Attributes:
        identity: None only when Kratos, asked for this very id, said that there is none.
        tuples: All the subject has in Keto on `Platform:main`, and every permission granted to it.
        live: Permissions of its grants that count.
        ever: Permissions of all grants it ever had from us. What else it was granted is somebody
            else's business.
        pending_effects: Effects are on their way that may bring about what seems to be missing.
        sessions: Kratos has active sessions of the identity.
    """

    subject_id: str
    identity: IdentityFacts | None
    member: MemberFacts | None
    tuples: frozenset[RelationTuple] = frozenset()
    live: frozenset[str] = frozenset()
    ever: frozenset[str] = frozenset()
    pending_effects: bool = False
    sessions: bool = False


@dataclass(frozen=True, slots=True)
class RegisterMember:
    """Give the identity a row: pending verification, role user whatever its metadata say."""


@dataclass(frozen=True, slots=True)
class ActivateMember:
    """Take the member along `decide_verification`: Kratos has seen the address proven."""


@dataclass(frozen=True, slots=True)
class SuspendMember:
    """Take the member along `admin_disable`: somebody disabled the identity in Kratos."""


@dataclass(frozen=True, slots=True)
class MarkDeleted:
    """Take the member along `admin_deletion`: the identity is gone."""


@dataclass(frozen=True, slots=True)
class RemoveIdentity:
    """Delete the identity of a member who is deleted."""


@dataclass(frozen=True, slots=True)
class RepairAuthority:
    """Make those of the subject's tuples in Keto that are ours these, and no others."""

    wanted: frozenset[RelationTuple]


@dataclass(frozen=True, slots=True)
class RepairSessions:
    """Delete the sessions of somebody who may have none."""


@dataclass(frozen=True, slots=True)
class RepairIdentity:
    """Write status and role to `metadata_public`, and set the identity's state.

    Attributes:
        enabled: The state to set; never True for an identity that is disabled.
    """

    enabled: bool


@dataclass(frozen=True, slots=True)
class FinishEmailChange:
    """Do what the member's change of address waits for: a hook of it was lost."""


@dataclass(frozen=True, slots=True)
class RepairSecondFactor:
    """Remember what Kratos says of the member's second factors: a hook of it was lost."""


Repair: TypeAlias = (
    RegisterMember
    | ActivateMember
    | SuspendMember
    | MarkDeleted
    | RemoveIdentity
    | RepairAuthority
    | RepairSessions
    | RepairIdentity
    | FinishEmailChange
    | RepairSecondFactor
)

_UNVERIFIED = frozenset({Status.PENDING_REGISTRATION, Status.PENDING_VERIFICATION, Status.EXPIRED})
_NOTHING: frozenset[RelationTuple] = frozenset()


def decide_repairs(facts: Facts, grace: timedelta) -> tuple[Repair, ...]:
    """Decide what to repair, in this order; nothing while effects are on their way.

    Args:
        grace: How young an identity without a row may be before we think that its hook is lost.
    """
    if facts.pending_effects:
        return ()
    if facts.subject_id == GUEST_SUBJECT:
        return tuple(_authority(facts, frozenset({GUEST_TUPLE})))
    if facts.identity is None:
        return tuple(_without_identity(facts))
    if facts.member is None:
        return tuple(_without_member(facts, facts.identity, grace))
    return tuple(_with_both(facts, facts.identity, facts.member))


def is_mass_loss(*, lost: int, known: int) -> bool:
    """Tell whether so many members lack their identity that Kratos itself must be wrong.

    A restored or empty database of Kratos looks like everybody's deletion, and deletion cannot be
    taken back. Up to 10 members, or one in twenty, are believed; that nobody of several is left
    is not.
    """
    return lost > max(10, known // 20) or lost == known > 1


def _without_identity(facts: Facts) -> Iterator[Repair]:
    if facts.member is not None and facts.member.status is not Status.DELETED:
        yield MarkDeleted()
    else:
        yield from _authority(facts, _NOTHING)


def _without_member(facts: Facts, identity: IdentityFacts, grace: timedelta) -> Iterator[Repair]:
    yield from _authority(facts, _NOTHING)
    if identity.age < grace:
        return
    yield RegisterMember()
    known = MemberFacts(Status.PENDING_VERIFICATION, Role.USER)
    yield from _state_and_drift(facts, identity, known, have=_NOTHING)


def _with_both(facts: Facts, identity: IdentityFacts, member: MemberFacts) -> Iterator[Repair]:
    if member.status is Status.DELETED:
        yield from _authority(facts, _NOTHING)
        yield RemoveIdentity()
        return
    yield from _state_and_drift(facts, identity, member, have=_ours(facts))


def _state_and_drift(
    facts: Facts, identity: IdentityFacts, member: MemberFacts, have: frozenset[RelationTuple]
) -> Iterator[Repair]:
    # An arrow brings all its effects about; what still differs then is for the next run.
    if member.status is Status.ACTIVE and not identity.enabled:
        yield SuspendMember()
        yield from _second_factor(identity, member)
        return
    if member.status in _UNVERIFIED and identity.email_verified and identity.enabled:
        yield ActivateMember()
        yield from _second_factor(identity, member)
        return
    wanted = platform_tuples(facts.subject_id, member.status, member.role) | grant_tuples(
        facts.subject_id, member.status, facts.live
    )
    if have != wanted:
        yield RepairAuthority(wanted)
    yield from _identity(identity, member)
    if facts.sessions and not may_have_session(member.status):
        yield RepairSessions()
    if identity.address_waits:
        yield FinishEmailChange()
    yield from _second_factor(identity, member)


def _second_factor(identity: IdentityFacts, member: MemberFacts) -> Iterator[Repair]:
    """Kratos is right either way: who enrolled one is asked for it, and who has none any more
    would be asked for what nobody can give."""
    if identity.has_second_factor != member.second_factor:
        yield RepairSecondFactor()


def _authority(facts: Facts, wanted: frozenset[RelationTuple]) -> Iterator[Repair]:
    if _ours(facts) != wanted:
        yield RepairAuthority(wanted)


def _ours(facts: Facts) -> frozenset[RelationTuple]:
    return ours(facts.tuples, facts.ever)


def _identity(identity: IdentityFacts, member: MemberFacts) -> Iterator[Repair]:
    enabled = identity.enabled and is_enabled_in_kratos(member.status)
    told = (identity.metadata_status, identity.metadata_role, identity.enabled)
    if told != (member.status, member.role, enabled):
        yield RepairIdentity(enabled)
