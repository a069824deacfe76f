"""What brings Kratos and a member's wish for another address together."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import Allow, Deny
from policies.email_changes import (
    OPEN,
    Change,
    InKratos,
    Replace,
    Restore,
    Settle,
    State,
    Withdraw,
    asked_address,
    decide_asking,
    decide_step,
    may_be_reverted,
)
from policies.registration import RegistrationAttempt

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
OLD, NEW = "old@example.test", "new@example.test"


def step(state, email, pending="", *, proven=False, is_active=True, expires_at=LATER):
    change = Change(state, OLD, NEW, expires_at)
    return decide_step(change, InKratos(email, pending, proven), is_active=is_active, now=NOW)


def test_an_address_waits_for_its_code():
    assert step(State.ASKED, OLD, NEW) is None


@pytest.mark.parametrize("state", [State.ASKED, State.PROVEN])
def test_a_proven_address_becomes_the_members(state):
    assert step(state, OLD, NEW, proven=True) == Replace(NEW)


def test_a_hook_that_was_lost_is_no_excuse():
    """Kratos knows that it is proven, whether we were told or not."""
    assert step(State.ASKED, OLD, NEW, proven=True) == Replace(NEW)


def test_a_crash_after_kratos_was_told_only_leaves_our_row():
    assert step(State.PROVEN, NEW) == Settle(State.DONE)
    assert step(State.REVERTING, OLD) == Settle(State.REVERTED)


def test_nobody_confirms_too_late():
    assert step(State.ASKED, OLD, NEW, expires_at=NOW - timedelta(seconds=1)) == Withdraw(
        State.EXPIRED
    )
    late = step(State.ASKED, OLD, NEW, proven=True, expires_at=NOW - timedelta(seconds=1))
    assert late == Withdraw(State.EXPIRED)


def test_what_was_proven_in_time_may_be_done_late():
    past = NOW - timedelta(hours=1)
    assert step(State.PROVEN, OLD, NEW, proven=True, expires_at=past) == Replace(NEW)


def test_an_emptied_trait_cancels():
    assert step(State.ASKED, OLD) == Settle(State.CANCELLED)


def test_whoever_is_shut_out_gets_no_other_address():
    assert step(State.PROVEN, OLD, NEW, proven=True, is_active=False) == Withdraw(State.CANCELLED)


@pytest.mark.parametrize(
    ("email", "pending"), [(NEW, ""), (NEW, "third@example.test"), (OLD, NEW), ("x@y.test", "")]
)
def test_a_change_that_is_taken_back_leads_to_the_old_address(email, pending):
    assert step(State.REVERTING, email, pending) == Restore(OLD)


@given(
    state=st.sampled_from(sorted(OPEN)),
    email=st.sampled_from([OLD, NEW]),
    pending=st.sampled_from(["", NEW]),
    proven=st.booleans(),
    is_active=st.booleans(),
    hours=st.integers(-48, 48),
)
def test_an_address_is_replaced_only_by_a_proven_one(
    *, state, email, pending, proven, is_active, hours
):
    expires_at = NOW + timedelta(hours=hours)
    done = step(state, email, pending, proven=proven, is_active=is_active, expires_at=expires_at)
    if isinstance(done, Replace):
        assert proven
        assert is_active
        assert pending == done.new
        assert state is not State.REVERTING


@given(asked=st.lists(st.integers(0, 2 * 86_400), max_size=20), reserved=st.booleans())
def test_a_member_asks_at_most_so_often(asked, reserved):
    before = [NOW - timedelta(seconds=seconds) for seconds in asked]
    decision = decide_asking(before, is_reserved=reserved, now=NOW)
    often = sum(s < 3600 for s in asked) >= 5 or sum(s < 86_400 for s in asked) >= 10
    assert isinstance(decision, Deny) == (often or reserved)
    if not often and not reserved:
        assert decision == Allow()


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ("Ada@Example.test", None),
        ("ada@example.test", None),
        ("Eve@Example.test", "eve@example.test"),
    ],
)
def test_another_spelling_is_no_other_address(wanted, asked):
    before = RegistrationAttempt(email="ada@example.test", username="ada")
    assert asked_address(before, RegistrationAttempt(email=wanted, username="ada")) == asked


def test_an_old_address_has_its_time():
    assert may_be_reverted(State.ASKED, None, NOW)
    assert may_be_reverted(State.DONE, NOW, NOW)
    assert not may_be_reverted(State.DONE, NOW - timedelta(seconds=1), NOW)
    ended = set(State) - {State.ASKED, State.PROVEN, State.DONE}
    assert not any(may_be_reverted(state, LATER, NOW) for state in ended)
