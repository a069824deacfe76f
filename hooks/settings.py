"""A member changes its own traits or credentials."""

from fastapi import APIRouter
from fastapi.responses import Response

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import SettingsCompleted, SettingsSubmitted
from integration.db import members
from integration.dependencies import Transaction, UsesServices
from integration.rules import registration_rules
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_settings
from policies.registration import decide_change_of_traits

router = APIRouter(prefix="/hooks/settings", dependencies=[FromKratos])


@router.post("/submitted")
def settings_submitted(
    payload: SettingsSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """Blocking: what a registration would refuse, a later change may not bring in.

    A session may outlive its member's right to one by as long as its end is on its way.
    """
    member = members.get(session, payload.identity_id)
    known = decide_settings(None if member is None else Status(member.status))
    if isinstance(known, Deny):
        return replies.refuse(known)
    decision = decide_change_of_traits(
        payload.traits_before.to_attempt(),
        payload.traits.to_attempt(),
        registration_rules(services.settings),
    )
    return replies.refuse(decision) if isinstance(decision, Deny) else replies.go_on()


@router.post("/completed", status_code=204)
def settings_completed(payload: SettingsCompleted, session: Transaction) -> None:
    """Keep our copy of the traits like Kratos'."""
    member = members.lock(session, payload.identity_id)
    if member is None:
        return
    member.email = payload.traits.email.lower()
    member.username = payload.traits.username
    member.first_name = payload.traits.first_name
    member.last_name = payload.traits.last_name
