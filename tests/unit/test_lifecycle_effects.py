"""What the arrows of a member's life bring about, and in which order."""

import pytest

from policies.decisions import (
    DeleteIdentity,
    Deny,
    EndSessions,
    PublishEvent,
    SendMail,
    SyncAuthority,
    SyncIdentity,
)
from policies.lifecycle import (
    TRANSITIONS,
    Actor,
    Status,
    Transition,
    Trigger,
    decide_walk,
    effects_of,
)


def arrow_id(arrow: Transition) -> str:
    return f"{arrow.source or 'guest'}-{arrow.trigger}"


@pytest.mark.parametrize(
    "arrow", [arrow for arrow in TRANSITIONS if arrow.source is Status.ACTIVE], ids=arrow_id
)
def test_leaving_active_closes_the_gate_first_and_ends_sessions(arrow: Transition) -> None:
    assert arrow.effects[0] == SyncAuthority()
    assert EndSessions() in arrow.effects


@pytest.mark.parametrize(
    "arrow",
    [
        arrow
        for arrow in TRANSITIONS
        if arrow.target is Status.ACTIVE and arrow.source in {Status.SUSPENDED, Status.DEACTIVATED}
    ],
    ids=arrow_id,
)
def test_coming_back_ends_old_sessions_before_anything_is_opened(arrow: Transition) -> None:
    assert arrow.effects[:3] == (EndSessions(), SyncIdentity(enable=True), SyncAuthority())


def test_only_a_lifted_suspension_or_a_return_enables_a_disabled_identity() -> None:
    enabling = {
        arrow.trigger for arrow in TRANSITIONS if SyncIdentity(enable=True) in arrow.effects
    }

    assert enabling == {
        Trigger.APPEAL_APPROVED,
        Trigger.ADMIN_ENABLE,
        Trigger.REACTIVATION_REQUEST,
    }


@pytest.mark.parametrize(
    "arrow", [arrow for arrow in TRANSITIONS if arrow.target is Status.DELETED], ids=arrow_id
)
def test_a_deletion_takes_authority_sessions_and_the_identity(arrow: Transition) -> None:
    assert arrow.effects == (SyncAuthority(), EndSessions(), DeleteIdentity())


def test_every_arrow_to_active_tells_keto_and_kratos() -> None:
    for arrow in TRANSITIONS:
        if arrow.target is Status.ACTIVE:
            kinds = {type(effect) for effect in arrow.effects}
            assert {SyncAuthority, SyncIdentity} <= kinds


def test_only_a_verified_address_is_welcomed() -> None:
    welcomed = [arrow.trigger for arrow in TRANSITIONS if SendMail("welcome") in arrow.effects]

    assert welcomed == [Trigger.VERIFY_EMAIL]


def test_nobody_but_a_submitted_registration_or_a_first_oauth_login_is_announced() -> None:
    announced = {
        arrow.trigger: effect.facts
        for arrow in TRANSITIONS
        for effect in arrow.effects
        if isinstance(effect, PublishEvent) and effect.name == "member.registered"
    }

    facts = (("default_playlists", True), ("default_channels", False))
    assert announced == {Trigger.SUBMIT_REGISTRATION: facts, Trigger.OAUTH_LOGIN: facts}


def test_what_several_arrows_bring_about_happens_once_and_as_late_as_asked() -> None:
    walk = decide_walk(Status.ACTIVE, (Trigger.ADMIN_DISABLE, Trigger.ADMIN_DELETION), Actor.ADMIN)

    assert not isinstance(walk, Deny)
    assert effects_of(walk) == (
        SyncIdentity(),
        SyncAuthority(),
        EndSessions(),
        DeleteIdentity(),
    )
