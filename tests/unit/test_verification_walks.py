"""Which arrows a registration, a resend and a proven address take."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import (
    Deny,
    PublishEvent,
    SendMail,
    SyncAuthority,
    SyncIdentity,
)
from policies.lifecycle import Actor, Status, effects_of
from policies.verification import (
    RESENDS_FOR,
    decide_recording,
    decide_resend,
    decide_verification,
)

DAY = timedelta(days=1)
WELCOMED = (SyncAuthority(), SyncIdentity(), SendMail("welcome"), PublishEvent("member.verified"))


@pytest.mark.parametrize("actor", [Actor.MEMBER, Actor.ADMIN, Actor.SYSTEM])
def test_a_recorded_registration_waits_for_its_mail_and_is_announced_once(actor: Actor) -> None:
    walk = decide_recording(actor)

    assert not isinstance(walk, Deny)
    assert walk[0].source is None
    assert walk[-1].target is Status.PENDING_VERIFICATION
    (announced,) = effects_of(walk)
    assert isinstance(announced, PublishEvent)


def test_a_moderator_registers_nobody() -> None:
    assert isinstance(decide_recording(Actor.MODERATOR), Deny)


@pytest.mark.parametrize(
    "current", [Status.PENDING_REGISTRATION, Status.PENDING_VERIFICATION, Status.EXPIRED]
)
@pytest.mark.parametrize("actor", [Actor.MEMBER, Actor.PROVIDER, Actor.SYSTEM])
def test_a_proven_address_activates_from_every_unverified_state(
    current: Status, actor: Actor
) -> None:
    walk = decide_verification(current, actor)

    assert not isinstance(walk, Deny)
    assert walk[0].source is current
    assert walk[-1].target is Status.ACTIVE
    assert effects_of(walk) == WELCOMED


def test_a_second_proof_changes_nothing() -> None:
    assert decide_verification(Status.ACTIVE, Actor.MEMBER) == ()


@pytest.mark.parametrize(
    "current",
    [
        None,
        Status.PROVISIONAL,
        Status.SUSPENDED,
        Status.BANNED,
        Status.DEACTIVATED,
        Status.DELETED,
    ],
)
def test_a_proven_address_lets_nobody_else_in(current: Status | None) -> None:
    assert isinstance(decide_verification(current, Actor.MEMBER), Deny)


@given(st.none() | st.sampled_from(Status), st.sampled_from([Actor.MODERATOR, Actor.ADMIN]))
def test_no_member_of_staff_verifies_an_address_for_somebody(
    current: Status | None, actor: Actor
) -> None:
    assert decide_verification(current, actor) == () or isinstance(
        decide_verification(current, actor), Deny
    )


def test_a_resend_brings_an_expired_member_back_without_registering_twice() -> None:
    walk = decide_resend(Status.EXPIRED, Actor.MEMBER, age=DAY)

    assert not isinstance(walk, Deny)
    assert [arrow.target for arrow in walk] == [
        Status.PENDING_REGISTRATION,
        Status.PENDING_VERIFICATION,
    ]
    assert effects_of(walk) == (SyncIdentity(),)


def test_nobody_keeps_a_registration_alive_for_ever() -> None:
    assert not isinstance(decide_resend(Status.EXPIRED, Actor.MEMBER, age=RESENDS_FOR), Deny)
    late = RESENDS_FOR + timedelta(seconds=1)
    assert isinstance(decide_resend(Status.EXPIRED, Actor.MEMBER, age=late), Deny)
    assert timedelta(days=30) == RESENDS_FOR


def test_a_resend_for_somebody_pending_is_no_arrow() -> None:
    assert decide_resend(Status.PENDING_VERIFICATION, Actor.MEMBER, age=DAY) == ()


@pytest.mark.parametrize("current", [None, Status.ACTIVE, Status.BANNED])
def test_there_is_no_resend_for_those_with_nothing_to_verify(current: Status | None) -> None:
    assert isinstance(decide_resend(current, Actor.MEMBER, age=DAY), Deny)
