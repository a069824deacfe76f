"""A member changes its own traits or credentials."""

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy.orm import Session

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import (
    SettingsCompleted,
    SettingsPasswordCompleted,
    SettingsPasswordSubmitted,
    SettingsSubmitted,
)
from integration import password_changes, second_factors
from integration.db import epochs, members, passwords
from integration.dependencies import Transaction, UsesServices
from integration.rules import registration_rules
from integration.settings import Settings
from policies.decisions import Decision, Deny, decide_all
from policies.lifecycle import Status
from policies.login import decide_settings
from policies.passwords import decide_by_verdict
from policies.registration import decide_change_of_traits

router = APIRouter(prefix="/hooks/settings", dependencies=[FromKratos])


@router.post("/submitted")
def settings_submitted(
    payload: SettingsSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """Blocking: what a registration would refuse, a later change may not bring in.

    A session may outlive its member's right to one by as long as its end is on its way.
    """
    return _answer(_on_member_and_traits(session, payload, services.settings))


@router.post("/password/submitted")
def settings_password_submitted(
    payload: SettingsPasswordSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """The same with a new password: what the edge said of it counts, and silence is a no."""
    verdict = passwords.verdict(
        session, payload.attempt, flow_id=payload.flow_id, identity_id=payload.identity_id
    )
    on_the_rest = _on_member_and_traits(session, payload, services.settings)
    return _answer(decide_all(on_the_rest, decide_by_verdict(verdict)))


@router.post("/completed", status_code=204)
def settings_completed(
    payload: SettingsCompleted, session: Transaction, services: UsesServices
) -> None:
    """Keep our copy of the traits like Kratos', and know whether there is a second factor."""
    second_factors.refresh(session, services, payload.identity_id)
    _copy_traits(payload, session)


def _copy_traits(payload: SettingsCompleted, session: Session) -> None:
    member = members.lock(session, payload.identity_id)
    if member is None:
        return
    member.email = payload.traits.email.lower()
    member.username = payload.traits.username
    member.first_name = payload.traits.first_name
    member.last_name = payload.traits.last_name
    epochs.move(session, payload.identity_id)


@router.post("/password/completed", status_code=204)
def settings_password_completed(
    payload: SettingsPasswordCompleted, session: Transaction, services: UsesServices
) -> None:
    """The password is changed: it counts as used, and everything follows that has to."""
    _copy_traits(payload, session)
    password_changes.record(session, payload.identity_id, payload.attempt, now=services.now())


def _on_member_and_traits(
    session: Session, payload: SettingsSubmitted, settings: Settings
) -> Decision:
    member = members.get(session, payload.identity_id)
    known = decide_settings(None if member is None else Status(member.status))
    if isinstance(known, Deny):
        return known
    return decide_change_of_traits(
        payload.traits_before.to_attempt(),
        payload.traits.to_attempt(),
        registration_rules(settings),
    )


def _answer(decision: Decision) -> Response:
    return replies.refuse(decision) if isinstance(decision, Deny) else replies.go_on()
