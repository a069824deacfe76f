"""What is repaired where Kratos, our tables and Keto disagree."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.authority import (
    GUEST_SUBJECT,
    GUEST_TUPLE,
    Role,
    grant_tuple,
    platform_tuple,
    platform_tuples,
)
from policies.lifecycle import (
    Status,
    is_enabled_in_kratos,
)
from policies.reconciliation import (
    ActivateMember,
    Facts,
    FinishEmailChange,
    IdentityFacts,
    MarkDeleted,
    MemberFacts,
    RegisterMember,
    RemoveIdentity,
    Repair,
    RepairAuthority,
    RepairIdentity,
    RepairSecondFactor,
    RepairSessions,
    SuspendMember,
    decide_repairs,
    is_mass_loss,
)

SUBJECT = "0b7e8f9c-9d0f-4a52-9a53-2f3a1a5b6c7d"
GRACE = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def identity_of(status: Status, role: Role = Role.USER, *, verified: bool = True) -> IdentityFacts:
    return IdentityFacts(is_enabled_in_kratos(status), verified, HOUR, status, role)


def settled(status: Status, role: Role = Role.USER, *, verified: bool = True) -> Facts:
    """A subject about whom all three agree."""
    return Facts(
        SUBJECT,
        identity_of(status, role, verified=verified),
        MemberFacts(status, role),
        platform_tuples(SUBJECT, status, role),
    )


ACTIVE = settled(Status.ACTIVE)
PENDING = settled(Status.PENDING_VERIFICATION, verified=False)
SUSPENDED = settled(Status.SUSPENDED)
ADMIN_TUPLES = platform_tuples(SUBJECT, Status.ACTIVE, Role.ADMIN)


def with_identity(facts: Facts, **changes: object) -> Facts:
    assert facts.identity is not None
    return replace(facts, identity=replace(facts.identity, **changes))  # type: ignore[arg-type]


MODERATE = frozenset({"content.moderate"})
GRANT = grant_tuple("content.moderate", SUBJECT)

CASES: dict[str, tuple[Facts, tuple[Repair, ...]]] = {
    "active without tuples": (
        replace(ACTIVE, tuples=frozenset()),
        (RepairAuthority(ACTIVE.tuples),),
    ),
    "a role that nobody gave": (
        replace(ACTIVE, tuples=ACTIVE.tuples | ADMIN_TUPLES),
        (RepairAuthority(ACTIVE.tuples),),
    ),
    "a grant that Keto lost": (
        replace(ACTIVE, live=MODERATE, ever=MODERATE),
        (RepairAuthority(ACTIVE.tuples | {GRANT}),),
    ),
    "a grant that has ended": (
        replace(ACTIVE, tuples=ACTIVE.tuples | {GRANT}, ever=MODERATE),
        (RepairAuthority(ACTIVE.tuples),),
    ),
    "a grant that somebody else wrote": (
        replace(ACTIVE, tuples=ACTIVE.tuples | {GRANT}),
        (),
    ),
    "a grant of somebody who is suspended": (
        replace(SUSPENDED, tuples=SUSPENDED.tuples | {GRANT}, live=MODERATE, ever=MODERATE),
        (),
    ),
    "a grant of somebody who is banned": (
        replace(settled(Status.BANNED), tuples=frozenset({GRANT}), live=MODERATE, ever=MODERATE),
        (RepairAuthority(frozenset()),),
    ),
    "suspended with the gate open and sessions": (
        replace(
            SUSPENDED, tuples=SUSPENDED.tuples | {platform_tuple("active", SUBJECT)}, sessions=True
        ),
        (RepairAuthority(SUSPENDED.tuples), RepairSessions()),
    ),
    "suspended but enabled in Kratos": (
        with_identity(SUSPENDED, enabled=True),
        (RepairIdentity(enabled=False),),
    ),
    "a new address that nobody told us of": (
        with_identity(ACTIVE, address_waits=True),
        (FinishEmailChange(),),
    ),
    "a second factor that nobody told us of": (
        with_identity(ACTIVE, has_second_factor=True),
        (RepairSecondFactor(),),
    ),
    "a second factor that Kratos has no more": (
        replace(ACTIVE, member=MemberFacts(Status.ACTIVE, Role.USER, second_factor=True)),
        (RepairSecondFactor(),),
    ),
    "disabled in Kratos, with a second factor": (
        with_identity(ACTIVE, enabled=False, has_second_factor=True),
        (SuspendMember(), RepairSecondFactor()),
    ),
    "active but disabled in Kratos": (with_identity(ACTIVE, enabled=False), (SuspendMember(),)),
    "metadata out of date": (
        with_identity(ACTIVE, metadata_status="pending_verification"),
        (RepairIdentity(enabled=True),),
    ),
    "metadata that claim a role": (
        with_identity(ACTIVE, metadata_role="admin"),
        (RepairIdentity(enabled=True),),
    ),
    "metadata lost": (
        with_identity(ACTIVE, metadata_role=None, metadata_status=None),
        (RepairIdentity(enabled=True),),
    ),
    "verified in Kratos, pending here": (
        with_identity(PENDING, email_verified=True),
        (ActivateMember(),),
    ),
    "verified in Kratos, expired here": (
        settled(Status.EXPIRED, verified=True),
        (ActivateMember(),),
    ),
    "verified with a session just made": (
        replace(with_identity(PENDING, email_verified=True), sessions=True),
        (ActivateMember(),),
    ),
    "verified but disabled": (
        with_identity(PENDING, email_verified=True, enabled=False),
        (),
    ),
    "pending, disabled, metadata out of date": (
        with_identity(PENDING, enabled=False, metadata_status=None),
        (RepairIdentity(enabled=False),),
    ),
    "provisional and verified": (settled(Status.PROVISIONAL), ()),
    "a session of somebody unverified": (replace(PENDING, sessions=True), (RepairSessions(),)),
    "identity gone": (replace(ACTIVE, identity=None), (MarkDeleted(),)),
    "identity of a deleted member gone, tuples left": (
        replace(settled(Status.DELETED), identity=None, tuples=ADMIN_TUPLES),
        (RepairAuthority(frozenset()),),
    ),
    "identity of a deleted member still there": (
        replace(settled(Status.DELETED), tuples=ADMIN_TUPLES),
        (RepairAuthority(frozenset()), RemoveIdentity()),
    ),
    "nobody with tuples": (
        Facts(SUBJECT, None, None, ADMIN_TUPLES),
        (RepairAuthority(frozenset()),),
    ),
    "an identity whose hook was lost": (
        replace(PENDING, member=None),
        (RegisterMember(),),
    ),
    "a verified identity whose hooks were lost": (
        replace(ACTIVE, member=None, tuples=frozenset()),
        (RegisterMember(), ActivateMember()),
    ),
    "an identity made by an admin, with a role in its metadata": (
        with_identity(
            replace(PENDING, member=None, tuples=ADMIN_TUPLES, sessions=True), metadata_role="admin"
        ),
        (
            RepairAuthority(frozenset()),
            RegisterMember(),
            RepairIdentity(enabled=True),
            RepairSessions(),
        ),
    ),
    "an identity whose hook may still come": (
        with_identity(replace(PENDING, member=None), age=GRACE - timedelta(seconds=1)),
        (),
    ),
    "an identity whose hook may still come, with tuples": (
        with_identity(replace(PENDING, member=None, tuples=ADMIN_TUPLES), age=timedelta(seconds=1)),
        (RepairAuthority(frozenset()),),
    ),
    "guests": (Facts(GUEST_SUBJECT, None, None, frozenset({GUEST_TUPLE})), ()),
    "guests without their tuple": (
        Facts(GUEST_SUBJECT, None, None),
        (RepairAuthority(frozenset({GUEST_TUPLE})),),
    ),
    "guests with a role": (
        Facts(
            GUEST_SUBJECT, None, None, frozenset({GUEST_TUPLE, platform_tuple("admins", SUBJECT)})
        ),
        (RepairAuthority(frozenset({GUEST_TUPLE})),),
    ),
}


@pytest.mark.parametrize(("facts", "repairs"), CASES.values(), ids=CASES.keys())
def test_each_disagreement_has_its_repairs_in_order(
    facts: Facts, repairs: tuple[Repair, ...]
) -> None:
    assert decide_repairs(facts, GRACE) == repairs


@pytest.mark.parametrize("facts", [facts for facts, _ in CASES.values()], ids=CASES.keys())
def test_what_is_on_its_way_is_left_alone(facts: Facts) -> None:
    assert decide_repairs(replace(facts, pending_effects=True), GRACE) == ()


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DELETED}))
@pytest.mark.parametrize("role", Role)
def test_where_all_agree_there_is_nothing_to_repair(status: Status, role: Role) -> None:
    verified = status not in {
        Status.PENDING_REGISTRATION,
        Status.PENDING_VERIFICATION,
        Status.EXPIRED,
    }

    assert decide_repairs(settled(status, role, verified=verified), GRACE) == ()


@pytest.mark.parametrize(
    ("lost", "known", "suspected"),
    [
        pytest.param(10, 11, False, id="a-handful-is-believed"),
        pytest.param(11, 12, True, id="more-is-not"),
        pytest.param(10, 10, True, id="everybody-is-not"),
        pytest.param(2, 2, True, id="not-even-of-two"),
        pytest.param(1, 1, False, id="the-only-one-may-leave"),
        pytest.param(0, 0, False, id="nobody-was-there"),
        pytest.param(50, 1000, False, id="one-in-twenty"),
        pytest.param(51, 1000, True, id="more-than-one-in-twenty"),
    ],
)
def test_suspects_kratos_rather_than_everybody(lost, known, suspected):
    assert is_mass_loss(lost=lost, known=known) is suspected
