"""Who may appeal, who may decide, and what a refused login leads on to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.appeals import (
    AGAIN_AFTER,
    MAX_STATEMENT,
    AppealState,
    Past,
    decide_acceptance,
    decide_appeal,
    decide_appealing,
    decide_rejection,
)
from policies.authority import Role
from policies.decisions import Allow, Deny, SendMail
from policies.grants import MAX_REASON, Granter, Holding
from policies.lifecycle import (
    TRANSITIONS,
    Actor,
    Status,
    Trigger,
    decide_transition,
    leads_out_of_active,
)
from policies.login import decide_login
from policies.login_refusals import NextStep, next_steps
from policies.permissions import permissions_of
from policies.registration import decide_profile
from policies.roles import decide_leaving

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOTHING = Past()
KEY = Granter(None)


def codes(decision):
    return {reason.code for reason in decision.reasons} if isinstance(decision, Deny) else set()


def holder(subject_id, role, *more):
    return Granter(subject_id, tuple(Holding(name) for name in (*permissions_of(role), *more)))


def accept(decider, *, state=AppealState.OPEN, role=Role.USER, reason=""):
    return decide_acceptance(state, "ada", role, decider, reason, added=())


def test_only_the_suspended_appeal():
    may = {s for s in Status if isinstance(decide_appealing(s, NOTHING, now=NOW), Allow)}
    assert may == {Status.SUSPENDED}


def test_there_is_one_appeal_at_a_time_and_a_week_between_them():
    def at(past):
        return codes(decide_appealing(Status.SUSPENDED, past, now=NOW))

    assert at(Past(is_open=True)) == {"appeal_open"}
    assert at(Past(rejected_at=NOW - AGAIN_AFTER + timedelta(seconds=1))) == {"appeal_too_soon"}
    assert at(Past(rejected_at=NOW - AGAIN_AFTER)) == set()


@given(st.text(max_size=3 * MAX_STATEMENT // 2))
def test_an_appeal_has_words_and_not_too_many(statement):
    decision = decide_appeal(Status.SUSPENDED, NOTHING, statement, now=NOW)
    assert isinstance(decision, Allow) is bool(
        statement.strip() and len(statement) <= MAX_STATEMENT
    )


def test_a_key_and_an_admin_accept_and_the_reason_is_told():
    for decider in (KEY, holder("eve", Role.ADMIN)):
        told = accept(decider, reason=" Fair. ")
        assert told.effects[0] == SendMail("appeal_accepted", (("reason", "Fair."),))


@pytest.mark.parametrize(
    ("decider", "role", "refused"),
    [
        (holder("eve", Role.MODERATOR), Role.USER, set()),
        (holder("eve", Role.MODERATOR), Role.MODERATOR, set()),
        (holder("eve", Role.MODERATOR), Role.ADMIN, {"role_not_held"}),
        (holder("eve", Role.USER, "appeals.decide"), Role.CREATOR, {"role_not_held"}),
        (holder("ada", Role.ADMIN), Role.ADMIN, {"same_person"}),
    ],
)
def test_nobody_gives_back_what_one_has_not_oneself(decider, role, refused):
    assert codes(accept(decider, role=role)) == refused


def test_what_is_held_for_a_while_gives_no_role_back():
    for_a_while = Granter("eve", (Holding("*", NOW + timedelta(hours=1)),))
    assert codes(accept(for_a_while)) == {"role_not_held"}


@pytest.mark.parametrize("state", sorted(set(AppealState) - {AppealState.OPEN}))
def test_what_is_decided_is_not_decided_again(state):
    assert codes(accept(KEY, state=state)) == {"appeal_not_open"}
    assert codes(decide_rejection(state, "ada", KEY, "no")) == {"appeal_not_open"}


@pytest.mark.parametrize(
    ("reason", "refused"),
    [("", "reason_missing"), (" ", "reason_missing"), ("x" * (MAX_REASON + 1), "reason_too_long")],
)
def test_a_rejection_needs_a_reason(reason, refused):
    assert codes(decide_rejection(AppealState.OPEN, "ada", KEY, reason)) == {refused}
    assert codes(accept(KEY, reason="x" * (MAX_REASON + 1))) == {"reason_too_long"}


def test_every_state_leads_on_to_what_its_arrows_allow():
    assert {status: set(next_steps(status)) for status in Status} == {
        Status.PENDING_REGISTRATION: {NextStep.RESEND_VERIFICATION},
        Status.PENDING_VERIFICATION: {NextStep.RESEND_VERIFICATION},
        Status.EXPIRED: {NextStep.RESEND_VERIFICATION},
        Status.PROVISIONAL: {NextStep.COMPLETE_PROFILE},
        Status.ACTIVE: set(),
        Status.SUSPENDED: {NextStep.APPEAL},
        Status.BANNED: set(),
        Status.DEACTIVATED: {NextStep.REACTIVATE},
        Status.DELETED: set(),
    }


def test_who_may_log_in_needs_no_ticket():
    for status in Status:
        assert not (isinstance(decide_login(status), Allow) and next_steps(status))


def test_the_arrow_of_an_appeal_is_the_staffs_alone():
    for actor in Actor:
        taken = decide_transition(Status.SUSPENDED, Trigger.APPEAL_APPROVED, actor)
        assert isinstance(taken, Deny) is (actor not in {Actor.MODERATOR, Actor.ADMIN})


def test_which_arrows_lead_out_of_active_is_what_the_table_says():
    leading = {arrow.trigger for arrow in TRANSITIONS if arrow.source is Status.ACTIVE}
    assert {trigger for trigger in Trigger if leads_out_of_active(trigger)} == leading
    assert all(t.target is not Status.ACTIVE for t in TRANSITIONS if t.source is Status.ACTIVE)


@given(st.sampled_from(Role), st.sampled_from(Status), st.sampled_from(Status), st.booleans())
def test_only_the_last_active_admin_is_kept_and_only_from_leaving(role, status, target, is_last):
    kept = isinstance(decide_leaving(role, status, target, is_last_admin=is_last), Deny)
    leaves = status is Status.ACTIVE and target is not Status.ACTIVE
    assert kept is (role is Role.ADMIN and leaves and is_last)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\u202eadA", "x" * 51])
def test_a_profile_is_not_complete_without_a_name_to_show(name):
    decision = decide_profile(name)
    assert isinstance(decision, Deny)
    assert decision.reasons[0].pointer == "#/display_name"


def test_a_profile_is_complete_with_one():
    assert decide_profile(" Ada L. ") == Allow()
