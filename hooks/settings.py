"""A member changes its own traits or credentials."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy.orm import Session

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import (
    SettingsCompleted,
    SettingsConnectionCompleted,
    SettingsFactorCompleted,
    SettingsPasswordCompleted,
    SettingsPasswordSubmitted,
    SettingsSubmitted,
    SettingsTraitsSubmitted,
)
from integration.db import email_changes, epochs, members, passwords
from integration.dependencies import Transaction, UsesServices
from integration.members import connections, factor_enrolment, password_changes, second_factors
from integration.members.email_changes import recording
from integration.rules import registration_rules
from integration.services import Services
from policies.decisions import Allow, Decision, Deny, decide_all
from policies.email_changes import asked_address, decide_asking, decide_no_change
from policies.lifecycle import Status
from policies.login import decide_settings
from policies.passwords import decide_by_verdict
from policies.registration import decide_change_of_traits

router = APIRouter(prefix="/hooks/settings", dependencies=[FromKratos])


@router.post("/submitted")
def settings_submitted(
    payload: SettingsSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """Blocking: a session may outlive its member's right to one by as long as its end is on its
    way. Traits come along unchanged."""
    return _answer(_of_other_methods(session, payload, services))


@router.post("/traits/submitted")
def settings_traits_submitted(
    payload: SettingsTraitsSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """Blocking: what a registration would refuse, a later change may not bring in.

    A new e-mail address waits in `pending_email`: Kratos then sends its code there, and everything
    that belongs to the old one stays.
    """
    decision = _on_member_and_traits(session, payload, services)
    wanted = asked_address(payload.traits_before.to_attempt(), payload.traits.to_attempt())
    if wanted is not None:
        asking = _on_asking(session, payload.identity_id, wanted, services)
        decision = decide_all(decision, asking)
    if isinstance(decision, Deny) or wanted is None:
        return _answer(decision)
    return replies.go_on_with(_put_off(payload, wanted))


@router.post("/password/submitted")
def settings_password_submitted(
    payload: SettingsPasswordSubmitted, session: Transaction, services: UsesServices
) -> Response:
    """The same with a new password: what the edge said of it counts, and silence is a no."""
    verdict = passwords.verdict(
        session, payload.attempt, flow_id=payload.flow_id, identity_id=payload.identity_id
    )
    on_the_rest = _of_other_methods(session, payload, services)
    return _answer(decide_all(on_the_rest, decide_by_verdict(verdict)))


@router.post("/completed", status_code=204)
def settings_completed(
    payload: SettingsCompleted, session: Transaction, services: UsesServices
) -> None:
    """Keep our copy of the traits like Kratos', and see which address is to be proven."""
    member = members.lock(session, payload.identity_id)
    if member is None:
        return
    member.email = payload.traits.email.lower()
    member.username = payload.traits.username
    member.first_name = payload.traits.first_name
    member.last_name = payload.traits.last_name
    pending = payload.traits.pending_email.lower()
    recording.asked(session, payload.identity_id, pending, services.settings, now=services.now())
    epochs.move(session, payload.identity_id)


@router.post("/password/completed", status_code=204)
def settings_password_completed(
    payload: SettingsPasswordCompleted, session: Transaction, services: UsesServices
) -> None:
    """The password is changed: it counts as used, and everything follows that has to."""
    settings_completed(payload, session, services)
    password_changes.record(session, payload.identity_id, payload.attempt, now=services.now())


@router.post("/totp/completed", status_code=204)
@router.post("/lookup_secret/completed", status_code=204)
def settings_factor_completed(
    payload: SettingsFactorCompleted, session: Transaction, services: UsesServices
) -> None:
    """A second factor came or went: the member is told, and asked for it or not any more."""
    factor_enrolment.refresh(session, services, payload.identity_id)
    second_factors.record(
        session,
        payload.identity_id,
        payload.method,
        is_set=payload.is_set,
        now=services.now(),
    )


@router.post("/connection/completed", status_code=204)
def settings_connection_completed(
    payload: SettingsConnectionCompleted, session: Transaction, services: UsesServices
) -> None:
    """A provider was linked or unlinked: the member is told."""
    connections.record(
        session,
        payload.identity_id,
        is_linked=payload.is_linked,
        provider=payload.provider,
        occasion=f"{payload.flow_id}:{payload.occasion}",
        now=services.now(),
    )


def _of_other_methods(session: Session, payload: SettingsSubmitted, services: Services) -> Decision:
    before, after = payload.traits_before.to_attempt(), payload.traits.to_attempt()
    on_the_rest = _on_member_and_traits(session, payload, services)
    if isinstance(on_the_rest, Deny):
        return on_the_rest
    return decide_no_change(before, after)


def _on_member_and_traits(
    session: Session, payload: SettingsSubmitted, services: Services
) -> Decision:
    member = members.get(session, payload.identity_id)
    known = decide_settings(None if member is None else Status(member.status))
    if isinstance(known, Deny):
        return known
    return decide_change_of_traits(
        payload.traits_before.to_attempt(),
        payload.traits.to_attempt(),
        registration_rules(services.settings),
    )


def _on_asking(session: Session, identity_id: UUID, wanted: str, services: Services) -> Decision:
    now = services.now()
    known = email_changes.open_of(session, identity_id)
    if known is not None and known.new_email == wanted:
        # Told twice: no other mail goes out.
        return Allow()
    return decide_asking(
        email_changes.asks_of(session, identity_id, now),
        is_reserved=email_changes.is_reserved(session, wanted, but_for=identity_id, now=now),
        now=now,
    )


def _put_off(payload: SettingsTraitsSubmitted, wanted: str) -> dict[str, object]:
    """Return the identity to store: the old address, verified as it was, and the new one waiting.

    The given list replaces Kratos' own, which lost the old address when it took the new one.
    """
    given = {name: value for name, value in payload.traits.model_dump().items() if value}
    return {
        "traits": {**given, "email": payload.traits_before.email, "pending_email": wanted},
        "verifiable_addresses": [
            address.model_dump(exclude_none=True) for address in payload.addresses_before
        ],
    }


def _answer(decision: Decision) -> Response:
    return replies.refuse(decision) if isinstance(decision, Deny) else replies.go_on()
