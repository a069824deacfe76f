"""Repairs made in a model of the world: they end, and never leave more authority behind."""

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.authority import (
    RelationTuple,
    Role,
    platform_tuple,
    platform_tuples,
)
from policies.decisions import Deny, Effect, EndSessions, SyncAuthority, SyncIdentity
from policies.lifecycle import (
    Actor,
    Status,
    Trigger,
    decide_walk,
    effects_of,
    is_enabled_in_kratos,
    may_have_session,
)
from policies.reconciliation import (
    ActivateMember,
    Facts,
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
)
from policies.verification import decide_verification

SUBJECT = "0b7e8f9c-9d0f-4a52-9a53-2f3a1a5b6c7d"
GRACE = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def with_identity(facts: Facts, **changes: object) -> Facts:
    assert facts.identity is not None
    return replace(facts, identity=replace(facts.identity, **changes))  # type: ignore[arg-type]


@dataclass
class World:
    """A world in which repairs are made as their names say."""

    facts: Facts

    def make(self, repairs: tuple[Repair, ...]) -> None:
        for repair in repairs:
            self._make(repair)

    def _make(self, repair: Repair) -> None:
        match repair:
            case RegisterMember():
                registered = MemberFacts(Status.PENDING_VERIFICATION, Role.USER)
                self.facts = replace(self.facts, member=registered)
            case RemoveIdentity():
                self.facts = replace(self.facts, identity=None, sessions=False)
            case RepairAuthority(wanted):
                self.facts = replace(self.facts, tuples=wanted)
            case RepairSessions():
                self.facts = replace(self.facts, sessions=False)
            case RepairSecondFactor():
                assert self.facts.identity is not None
                assert self.facts.member is not None
                has = self.facts.identity.has_second_factor
                member = replace(self.facts.member, second_factor=has)
                self.facts = replace(self.facts, member=member)
            case RepairIdentity(enabled):
                self._tell_kratos(enabled=enabled)
            case _:
                self._move(repair)

    def _move(self, repair: Repair) -> None:
        assert self.facts.member is not None
        status = self.facts.member.status
        if repair == ActivateMember():
            self._walk(decide_verification(status, Actor.SYSTEM))
        elif repair == SuspendMember():
            self._walk(decide_walk(status, (Trigger.ADMIN_DISABLE,), Actor.SYSTEM))
        else:
            assert repair == MarkDeleted()
            self._walk(decide_walk(status, (Trigger.ADMIN_DELETION,), Actor.SYSTEM))

    def _walk(self, walk: object) -> None:
        assert not isinstance(walk, Deny)
        assert isinstance(walk, tuple)
        assert self.facts.member is not None
        status = walk[-1].target
        self.facts = replace(self.facts, member=replace(self.facts.member, status=status))
        for effect in effects_of(walk):
            self._bring_about(effect)

    def _bring_about(self, effect: Effect) -> None:
        facts = self.facts
        assert facts.member is not None
        status, role = facts.member.status, facts.member.role
        if effect == SyncAuthority():
            self.facts = replace(facts, tuples=platform_tuples(SUBJECT, status, role))
        elif effect == EndSessions():
            self.facts = replace(facts, sessions=False)
        elif isinstance(effect, SyncIdentity) and facts.identity is not None:
            allowed = effect.enable or facts.identity.enabled
            self._tell_kratos(enabled=allowed and is_enabled_in_kratos(status))

    def _tell_kratos(self, *, enabled: bool) -> None:
        assert self.facts.identity is not None
        assert self.facts.member is not None
        self.facts = with_identity(
            self.facts,
            enabled=enabled,
            metadata_status=str(self.facts.member.status),
            metadata_role=str(self.facts.member.role),
        )


IDENTITIES = st.builds(
    IdentityFacts,
    enabled=st.booleans(),
    email_verified=st.booleans(),
    age=st.sampled_from([timedelta(0), GRACE, HOUR]),
    metadata_status=st.none() | st.sampled_from([*map(str, Status), "odd"]),
    metadata_role=st.none() | st.sampled_from([*map(str, Role), "odd"]),
    has_second_factor=st.booleans(),
)
MEMBERS = st.builds(MemberFacts, st.sampled_from(Status), st.sampled_from(Role), st.booleans())
TUPLES = st.frozensets(
    st.sampled_from(
        [
            platform_tuple(relation, SUBJECT)
            for relation in ("active", "users", "creators", "moderators", "admins", "guests")
        ]
    )
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    identity = draw(st.none() | IDENTITIES)
    return World(
        Facts(
            SUBJECT,
            identity,
            draw(st.none() | MEMBERS),
            draw(TUPLES),
            # Without an identity Kratos has no sessions either.
            sessions=identity is not None and draw(st.booleans()),
        )
    )


def authority_granted(member: MemberFacts | None) -> frozenset[RelationTuple]:
    if member is None:
        return frozenset()
    return platform_tuples(SUBJECT, member.status, member.role)


@given(worlds())
def test_a_second_run_finds_nothing_left_to_repair(world: World) -> None:
    world.make(decide_repairs(world.facts, GRACE))

    assert decide_repairs(world.facts, GRACE) == ()


@given(worlds())
def test_after_repairs_nobody_has_more_than_their_state_grants(world: World) -> None:
    world.make(decide_repairs(world.facts, GRACE))

    assert world.facts.tuples <= authority_granted(world.facts.member)


@given(worlds())
def test_no_repair_enables_raises_or_revives_anybody(world: World) -> None:
    before = world.facts
    world.make(decide_repairs(before, GRACE))
    after = world.facts

    if before.identity is not None and after.identity is not None:
        assert before.identity.enabled or not after.identity.enabled
    role_before = before.member.role if before.member else Role.USER
    assert after.member is None or after.member.role is role_before
    assert before.sessions or not after.sessions


@given(worlds())
def test_nobody_becomes_active_who_is_not_verified_and_enabled(world: World) -> None:
    before = world.facts
    world.make(decide_repairs(before, GRACE))

    became_active = (
        world.facts.member is not None
        and world.facts.member.status is Status.ACTIVE
        and (before.member is None or before.member.status is not Status.ACTIVE)
    )
    if became_active:
        assert before.identity is not None
        assert before.identity.email_verified
        assert before.identity.enabled
        assert before.member is None or before.member.status in {
            Status.PENDING_REGISTRATION,
            Status.PENDING_VERIFICATION,
            Status.EXPIRED,
        }


@given(worlds())
def test_authority_is_taken_before_anything_else_is_done(world: World) -> None:
    repairs = decide_repairs(world.facts, GRACE)

    for number, repair in enumerate(repairs):
        if isinstance(repair, RepairAuthority):
            assert number == 0


@given(worlds())
def test_sessions_only_stay_with_the_active_and_with_those_still_registering(
    world: World,
) -> None:
    world.make(decide_repairs(world.facts, GRACE))

    if world.facts.sessions:
        assert world.facts.member is None or may_have_session(world.facts.member.status)
