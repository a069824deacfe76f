"""Who may be granted what: eligibility, duties, ends, and no escalation."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import (
    RelationTuple,
    changes,
    grant_tuple,
    grant_tuples,
    ours,
    platform_tuple,
)
from policies.decisions import Allow, Deny, SendMail, SyncAuthority
from policies.grants import (
    LONGEST,
    Candidate,
    Granter,
    Holding,
    Wish,
    conflicting,
    decide_grant,
    decide_renewal,
    decide_revocation,
)
from policies.lifecycle import Status

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CATALOGUE = {
    "content.publish",
    "content.*",
    "grants.write",
    "roles.write",
    "pay.make",
    "pay.sign",
    "pay.*",
    "*",
}
ADA = Candidate("ada", Status.ACTIVE, verified=True, holds=frozenset({"content.read"}))
KEY = Granter(None)
DUTIES = frozenset({("pay.make", "pay.sign")})


def decide(
    permission="content.publish",
    *,
    expires_at=None,
    reason="needed",
    candidate=ADA,
    granter=KEY,
    conflicts=frozenset(),
):
    return decide_grant(
        Wish(permission, expires_at, reason),
        candidate,
        granter,
        catalogue=CATALOGUE,
        conflicts=conflicts,
        now=NOW,
    )


def codes(decision):
    return {reason.code for reason in decision.reasons} if isinstance(decision, Deny) else set()


def test_a_grant_tells_keto_the_member_and_the_application():
    decision = decide(expires_at=NOW + HOUR)
    assert isinstance(decision, Allow)
    assert SyncAuthority() in decision.effects
    mail = next(effect for effect in decision.effects if isinstance(effect, SendMail))
    assert dict(mail.facts) == {"permission": "content.publish", "until": "01 May 2026, 13:00 UTC"}


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTIVE])
def test_only_the_active_are_granted_anything(status):
    candidate = Candidate("ada", status, verified=True, holds=frozenset())
    assert codes(decide(candidate=candidate)) == {"member_not_active"}


def test_an_address_must_be_proven():
    candidate = Candidate("ada", Status.ACTIVE, verified=False, holds=frozenset())
    assert codes(decide(candidate=candidate)) == {"member_not_verified"}


def test_what_does_not_exist_cannot_be_granted():
    assert codes(decide("content.unknown")) == {"permission_unknown"}
    assert codes(decide("Content")) == {"permission_name_invalid"}


@pytest.mark.parametrize("late", [timedelta(0), HOUR, timedelta(days=9999)])
def test_an_end_lies_in_the_future(late):
    assert codes(decide(expires_at=NOW - late)) == {"expiry_past"}


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-12))])
def test_an_end_is_one_that_everybody_can_read(zone):
    latest = datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone)
    assert codes(decide(expires_at=latest)) == {"expiry_too_far"}
    assert codes(decide(expires_at=NOW + LONGEST)) == set()


def test_the_mail_names_the_end_in_the_time_it_says():
    there = (NOW + HOUR).astimezone(timezone(timedelta(hours=5)))
    decision = decide(expires_at=there)
    mail = next(effect for effect in decision.effects if isinstance(effect, SendMail))
    assert dict(mail.facts)["until"] == "01 May 2026, 13:00 UTC"


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_a_grant_needs_a_reason(reason):
    assert codes(decide(reason=reason)) == {"reason_missing"}


def test_a_reason_is_no_novel():
    assert codes(decide(reason="x" * 501)) == {"reason_too_long"}


def test_all_reasons_are_told_at_once():
    candidate = Candidate("ada", Status.BANNED, verified=False, holds=frozenset())
    found = codes(decide(candidate=candidate, reason="", expires_at=NOW))
    assert found == {"member_not_active", "member_not_verified", "reason_missing", "expiry_past"}


@pytest.mark.parametrize("permission", ["*", "grants.write", "roles.write"])
def test_a_key_without_roles_write_grants_nothing_of_the_platforms(permission):
    assert codes(decide(permission)) == {"scope_missing"}
    assert isinstance(decide(permission, granter=Granter(None, administers=True)), Allow)


def test_nobody_grants_what_it_does_not_hold():
    granter = Granter("bob", (Holding("grants.write"), Holding("content.publish")))
    assert isinstance(decide(granter=granter), Allow)
    assert codes(decide("content.*", granter=granter)) == {"permission_not_held"}
    assert codes(decide("*", granter=granter)) == {"permission_not_held"}


def test_a_wildcard_is_enough_to_grant_what_it_covers():
    for name in ("content.*", "*"):
        assert isinstance(decide(granter=Granter("bob", (Holding(name),))), Allow)


def test_nobody_grants_anything_to_oneself():
    granter = Granter("ada", (Holding("*"),))
    assert codes(decide(granter=granter)) == {"grant_to_oneself"}


def test_what_one_has_for_an_hour_one_grants_for_no_longer():
    granter = Granter("bob", (Holding("content.publish", NOW + HOUR),))
    assert isinstance(decide(granter=granter, expires_at=NOW + HOUR), Allow)
    beyond = NOW + HOUR + timedelta(seconds=1)
    assert codes(decide(granter=granter, expires_at=beyond)) == {"expiry_beyond_own"}
    assert codes(decide(granter=granter)) == {"expiry_beyond_own"}


@given(
    st.lists(st.sampled_from(sorted(CATALOGUE)), max_size=4),
    st.sampled_from(sorted(CATALOGUE)),
)
def test_a_grant_never_holds_more_than_the_granter(held, wanted):
    granter = Granter("bob", tuple(Holding(name) for name in held))
    if isinstance(decide(wanted, granter=granter), Allow):
        prefix = wanted.removesuffix("*")
        assert any(
            name in ("*", wanted) or (name.endswith(".*") and prefix.startswith(name[:-1]))
            for name in held
        )


@pytest.mark.parametrize(
    ("permission", "holds", "other"),
    [
        ("pay.make", ["pay.sign"], "pay.sign"),
        ("pay.sign", ["pay.make"], "pay.make"),
        ("pay.sign", ["pay.*"], "pay.*"),
        ("pay.*", ["pay.sign"], "pay.sign"),
        ("pay.*", [], "pay.*"),
        ("*", [], "*"),
        ("pay.make", ["content.*"], None),
        ("content.publish", ["pay.make"], None),
        ("pay.make", [], None),
    ],
)
def test_duties_that_exclude_each_other_are_found_through_wildcards(permission, holds, other):
    assert conflicting(permission, holds, DUTIES) == other


def test_a_conflict_of_duties_is_a_reason():
    candidate = Candidate("ada", Status.ACTIVE, verified=True, holds=frozenset({"pay.sign"}))
    assert codes(decide("pay.make", candidate=candidate, conflicts=DUTIES)) == {"duties_conflict"}


def test_a_renewal_follows_the_rules_of_a_grant():
    wish = Wish("content.publish", NOW + HOUR, "still needed")
    suspended = Candidate("ada", Status.SUSPENDED, verified=True, holds=frozenset())
    renew = {"conflicts": frozenset(), "now": NOW}
    assert isinstance(decide_renewal(wish, ADA, KEY, **renew), Allow)
    assert codes(decide_renewal(wish, suspended, KEY, **renew)) == {"member_not_active"}


def test_whoever_could_grant_it_may_take_it():
    holder = Granter("bob", (Holding("content.*"),))
    assert isinstance(decide_revocation("content.publish", "", holder), Allow)
    assert codes(decide_revocation("pay.make", "", holder)) == {"permission_not_held"}
    assert codes(decide_revocation("roles.write", "", KEY)) == {"scope_missing"}


def test_keto_holds_the_grants_of_those_who_may_come_back():
    live = frozenset({"content.publish"})
    told = frozenset({grant_tuple("content.publish", "ada")})
    for status in Status:
        comes_back = status in {Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED}
        assert grant_tuples("ada", status, live) == (told if comes_back else frozenset())


def test_only_grants_we_ever_made_are_ours_to_take():
    gate = platform_tuple("active", "ada")
    known, strange = grant_tuple("content.publish", "ada"), grant_tuple("app.x", "ada")
    have = frozenset({gate, known, strange})
    mine = ours(have, frozenset({"content.publish"}))
    assert mine == {gate, known}
    insert, delete = changes(mine, frozenset({gate}))
    assert (insert, delete) == (frozenset(), {known})
    assert isinstance(strange, RelationTuple)
