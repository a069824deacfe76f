"""The life of a member: the table against the specification, and walks through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import (
    Deny,
)
from policies.lifecycle import (
    FINAL,
    OUR_TRANSITIONS,
    SPECIFIED_TRANSITIONS,
    TRANSITIONS,
    Actor,
    Status,
    Transition,
    Trigger,
    decide_transition,
    decide_walk,
    is_enabled_in_kratos,
    may_have_session,
)

# The specification's diagram, by hand, so that the table cannot agree with itself alone.
DIAGRAM = [
    (None, "start_registration", "pending_registration"),
    (None, "oauth_login", "provisional"),
    ("pending_registration", "submit_registration", "pending_verification"),
    ("pending_verification", "verify_email", "active"),
    ("pending_verification", "verification_timeout", "expired"),
    ("expired", "resend_verification", "pending_registration"),
    ("active", "policy_violation", "suspended"),
    ("active", "user_request", "deactivated"),
    ("active", "severe_violation", "banned"),
    ("suspended", "appeal_approved", "active"),
    ("suspended", "repeat_violation", "banned"),
    ("deactivated", "reactivation_request", "active"),
    ("deactivated", "permanent_deletion", "deleted"),
    ("provisional", "complete_profile", "active"),
    ("provisional", "auto_moderation", "suspended"),
]

ANYBODY = st.none() | st.sampled_from(Status)
MOVES = st.lists(st.tuples(st.sampled_from(Trigger), st.sampled_from(Actor)), max_size=30)


def arrow_id(arrow: Transition) -> str:
    return f"{arrow.source or 'guest'}-{arrow.trigger}"


def denied_code(decision: object) -> str:
    assert isinstance(decision, Deny)
    return decision.reasons[0].code


def test_the_specified_arrows_are_the_diagram_each_once() -> None:
    drawn = [(arrow.source, arrow.trigger, arrow.target) for arrow in SPECIFIED_TRANSITIONS]

    assert sorted(drawn, key=str) == sorted(DIAGRAM, key=str)
    assert all(arrow.ours == "" for arrow in SPECIFIED_TRANSITIONS)


def test_no_state_has_two_arrows_for_one_trigger() -> None:
    keys = [(arrow.source, arrow.trigger) for arrow in TRANSITIONS]

    assert len(keys) == len(set(keys))


def test_every_arrow_of_our_own_says_why() -> None:
    assert all(arrow.ours for arrow in OUR_TRANSITIONS)


def test_every_trigger_has_an_arrow() -> None:
    assert {arrow.trigger for arrow in TRANSITIONS} == set(Trigger)


def test_every_state_is_reachable_from_guest() -> None:
    reached: set[Status | None] = {None}
    for _ in Status:
        reached |= {arrow.target for arrow in TRANSITIONS if arrow.source in reached}

    assert reached == {None, *Status}


def test_final_states_only_lead_to_deletion_by_an_admin() -> None:
    out = [arrow for arrow in TRANSITIONS if arrow.source in FINAL]

    assert [(arrow.source, arrow.trigger, arrow.target) for arrow in out] == [
        (Status.BANNED, Trigger.ADMIN_DELETION, Status.DELETED)
    ]


def test_an_admin_may_delete_in_every_state_but_deleted() -> None:
    deletable = {
        status
        for status in Status
        if isinstance(decide_transition(status, Trigger.ADMIN_DELETION, Actor.ADMIN), Transition)
    }

    assert deletable == set(Status) - {Status.DELETED}


@pytest.mark.parametrize("arrow", TRANSITIONS, ids=arrow_id)
@pytest.mark.parametrize("actor", Actor)
def test_only_the_named_actors_may_take_an_arrow(arrow: Transition, actor: Actor) -> None:
    decision = decide_transition(arrow.source, arrow.trigger, actor)

    if actor in arrow.actors:
        assert decision == arrow
    else:
        assert denied_code(decision) == "actor_not_allowed"


@pytest.mark.parametrize(
    ("current", "trigger", "code"),
    [
        (None, Trigger.VERIFY_EMAIL, "transition_unknown"),
        (None, Trigger.ADMIN_DELETION, "transition_unknown"),
        (Status.ACTIVE, Trigger.START_REGISTRATION, "transition_not_allowed"),
        (Status.BANNED, Trigger.ADMIN_ENABLE, "transition_not_allowed"),
        (Status.DELETED, Trigger.ADMIN_ENABLE, "transition_not_allowed"),
        (Status.DEACTIVATED, Trigger.ADMIN_ENABLE, "transition_not_allowed"),
        (Status.PENDING_VERIFICATION, Trigger.ADMIN_DISABLE, "transition_not_allowed"),
        (Status.ACTIVE, Trigger.UNVERIFIED_TOO_LONG, "transition_not_allowed"),
    ],
)
def test_what_is_no_arrow_is_denied(current: Status | None, trigger: Trigger, code: str) -> None:
    assert denied_code(decide_transition(current, trigger, Actor.ADMIN)) == code


@given(ANYBODY, MOVES)
def test_a_random_walk_stays_in_the_table(
    current: Status | None, moves: list[tuple[Trigger, Actor]]
) -> None:
    for trigger, actor in moves:
        step = decide_transition(current, trigger, actor)
        if isinstance(step, Deny):
            assert step.reasons
            continue
        assert step in TRANSITIONS
        assert step.source == current
        assert actor in step.actors
        current = step.target


@given(st.sampled_from(sorted(FINAL)), MOVES)
def test_nobody_comes_back_from_a_final_state(
    current: Status, moves: list[tuple[Trigger, Actor]]
) -> None:
    for trigger, actor in moves:
        step = decide_transition(current, trigger, actor)
        if isinstance(step, Transition):
            current = step.target
        assert current in FINAL


@given(ANYBODY, MOVES)
def test_a_walk_is_all_its_steps_or_a_denial(
    start: Status | None, moves: list[tuple[Trigger, Actor]]
) -> None:
    triggers = [trigger for trigger, _ in moves]

    walk = decide_walk(start, triggers, Actor.SYSTEM)

    if not isinstance(walk, Deny):
        assert [arrow.trigger for arrow in walk] == triggers
        starts = [start, *(arrow.target for arrow in walk)]
        assert [arrow.source for arrow in walk] == starts[:-1]


def test_only_active_members_may_have_a_session() -> None:
    assert [status for status in (None, *Status) if may_have_session(status)] == [Status.ACTIVE]


def test_those_who_may_still_verify_or_log_in_are_enabled_in_kratos() -> None:
    assert {status for status in Status if is_enabled_in_kratos(status)} == {
        Status.PENDING_REGISTRATION,
        Status.PENDING_VERIFICATION,
        Status.EXPIRED,
        Status.PROVISIONAL,
        Status.ACTIVE,
    }
