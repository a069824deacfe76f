"""Who may give whom a role, and who may decide about a request for a permission."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.authority import Role
from policies.decisions import Allow, Deny, SendMail
from policies.elevations import (
    ElevationState,
    decide_approval,
    decide_denial,
    decide_request,
    decide_withdrawal,
)
from policies.grants import Candidate, Granter, Holding, Wish
from policies.lifecycle import Status
from policies.permissions import permissions_of
from policies.roles import decide_role

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOW + HOUR
KEY = Granter(None, administers=True)


def codes(decision):
    return {reason.code for reason in decision.reasons} if isinstance(decision, Deny) else set()


def holder(subject_id, role, *more):
    names = (*permissions_of(role), *more)
    return Granter(subject_id, tuple(Holding(name) for name in names))


def role(current, wanted, *, granter=KEY, status=Status.ACTIVE, reason="because", last=False):
    return decide_role(
        "ada",
        current,
        wanted,
        status=status,
        granter=granter,
        reason=reason,
        added=(),
        is_last_admin=last,
    )


def test_a_key_gives_every_role():
    for wanted in Role:
        assert isinstance(role(Role.USER, wanted), Allow)


def test_the_member_is_told_of_a_change_and_of_nothing_else():
    changed = role(Role.USER, Role.CREATOR)
    assert any(isinstance(effect, SendMail) for effect in changed.effects)
    assert role(Role.USER, Role.USER).effects == ()


def test_the_last_admin_stays():
    assert codes(role(Role.ADMIN, Role.USER, last=True)) == {"last_admin"}
    assert isinstance(role(Role.ADMIN, Role.USER), Allow)
    assert isinstance(role(Role.ADMIN, Role.ADMIN, last=True), Allow)
    assert isinstance(role(Role.USER, Role.ADMIN, last=True), Allow)


@pytest.mark.parametrize("status", [Status.BANNED, Status.DELETED])
def test_who_is_gone_gets_no_role(status):
    assert codes(role(Role.USER, Role.CREATOR, status=status)) == {"member_gone"}


def test_a_role_needs_a_reason():
    assert codes(role(Role.USER, Role.CREATOR, reason=" ")) == {"reason_missing"}


def test_nobody_gives_or_takes_a_role_above_ones_own():
    moderator = holder("bob", Role.MODERATOR, "roles.write")
    assert isinstance(role(Role.USER, Role.MODERATOR, granter=moderator), Allow)
    assert codes(role(Role.USER, Role.ADMIN, granter=moderator)) == {"role_not_held"}
    assert codes(role(Role.ADMIN, Role.USER, granter=moderator)) == {"role_not_held"}
    admin = holder("bob", Role.ADMIN)
    assert isinstance(role(Role.ADMIN, Role.USER, granter=admin), Allow)


def test_nobody_raises_oneself_and_anybody_steps_down():
    moderator = holder("ada", Role.MODERATOR, "roles.write")
    assert codes(role(Role.MODERATOR, Role.ADMIN, granter=moderator)) == {"role_not_held"}
    assert isinstance(role(Role.MODERATOR, Role.USER, granter=moderator), Allow)
    everything = Granter("ada", (Holding("*"),))
    assert codes(role(Role.USER, Role.ADMIN, granter=everything)) == {"role_not_held"}


def test_what_one_holds_for_a_while_gives_no_role():
    granter = Granter("bob", (Holding("*", LATER),))
    assert codes(role(Role.USER, Role.CREATOR, granter=granter)) == {"role_not_held"}


ADA = Candidate("ada", Status.ACTIVE, verified=True, holds=frozenset({"content.read"}))
WISH = Wish("members.suspend", LATER, "on call")
CATALOGUE = {"members.suspend", "content.read", "*"}


def request(permission="members.suspend", duration=HOUR, *, member=ADA, reason="on call"):
    return decide_request(
        permission,
        duration,
        reason,
        member,
        catalogue=CATALOGUE,
        conflicts=frozenset(),
        longest=timedelta(hours=8),
    )


def test_a_member_may_ask_for_what_it_has_not():
    assert isinstance(request(), Allow)
    assert codes(request("content.read")) == {"permission_held"}
    assert codes(request("no.such")) == {"permission_unknown"}
    assert codes(request("No")) == {"permission_name_invalid"}
    assert codes(request(reason="")) == {"reason_missing"}


@pytest.mark.parametrize("seconds", [-1, 0, 59, 8 * 3600 + 1, 10**9])
def test_the_time_asked_for_has_bounds(seconds):
    assert codes(request(duration=timedelta(seconds=seconds))) == {"duration_out_of_bounds"}


def approve(approver, *, state=ElevationState.REQUESTED, lapses_at=LATER, candidate=ADA):
    return decide_approval(
        WISH,
        candidate,
        approver,
        state=state,
        lapses_at=lapses_at,
        catalogue=CATALOGUE,
        conflicts=frozenset(),
        now=NOW,
    )


def test_another_person_who_holds_it_approves():
    assert isinstance(approve(holder("bob", Role.ADMIN)), Allow)
    assert codes(approve(holder("ada", Role.ADMIN))) == {"same_person"}
    assert codes(approve(KEY)) == {"person_required"}
    assert codes(approve(holder("bob", Role.CREATOR))) == {"permission_not_held"}


@pytest.mark.parametrize(
    "state", [state for state in ElevationState if state is not ElevationState.REQUESTED]
)
def test_a_decision_is_final(state):
    bob = holder("bob", Role.ADMIN)
    facts = {"state": state, "lapses_at": LATER, "now": NOW}
    assert codes(approve(bob, state=state)) == {"elevation_not_open"}
    denial = decide_denial("members.suspend", "ada", bob, "no", **facts)
    assert codes(denial) == {"elevation_not_open"}
    assert codes(decide_withdrawal("ada", "ada", **facts)) == {"elevation_not_open"}


def test_what_nobody_decided_in_time_is_over():
    assert codes(approve(holder("bob", Role.ADMIN), lapses_at=NOW)) == {"elevation_lapsed"}


def test_a_member_suspended_meanwhile_gets_nothing():
    suspended = Candidate("ada", Status.SUSPENDED, verified=True, holds=frozenset())
    found = approve(holder("bob", Role.ADMIN), candidate=suspended)
    assert codes(found) == {"member_not_active"}


def test_a_denial_is_another_persons_and_has_words():
    facts = {"state": ElevationState.REQUESTED, "lapses_at": LATER, "now": NOW}
    bob = holder("bob", Role.ADMIN)
    denied = decide_denial("members.suspend", "ada", bob, " not today ", **facts)
    mail = next(effect for effect in denied.effects if isinstance(effect, SendMail))
    assert dict(mail.facts)["reason"] == "not today"
    without = decide_denial("members.suspend", "ada", bob, "", **facts)
    assert codes(without) == {"reason_missing"}
    own = decide_denial("members.suspend", "ada", holder("ada", Role.ADMIN), "no", **facts)
    assert codes(own) == {"same_person"}


def test_only_who_asked_takes_it_back():
    facts = {"state": ElevationState.REQUESTED, "lapses_at": LATER, "now": NOW}
    assert isinstance(decide_withdrawal("ada", "ada", **facts), Allow)
    assert codes(decide_withdrawal("ada", "bob", **facts)) == {"not_yours"}
