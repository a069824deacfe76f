"""Somebody registers."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy.orm import Session

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import (
    RegistrationCompleted,
    RegistrationPasswordCompleted,
    RegistrationPasswordSubmitted,
    RegistrationSubmitted,
    Traits,
)
from integration.db import email_changes, members, passwords
from integration.dependencies import Transaction, UsesServices
from integration.members import lifecycle
from integration.members.email_changes import asking
from integration.rules import registration_rules
from integration.services import Services
from policies.authority import Role
from policies.decisions import Decision, Deny, decide_all
from policies.email_changes import decide_free
from policies.lifecycle import Actor, Status
from policies.passwords import decide_by_verdict
from policies.registration import decide_registration, decide_username_free, new_member

router = APIRouter(prefix="/hooks/registration", dependencies=[FromKratos])


@router.post("/submitted")
def registration_submitted(payload: RegistrationSubmitted, services: UsesServices) -> Response:
    """The person waits for this answer. Nothing is written about it: nothing exists yet."""
    with services.transaction() as session:
        owner = members.find(session, payload.traits.username)
        is_taken = owner is not None and owner.email != _email(payload)
        decision = decide_all(
            _on_traits(session, payload, services), decide_username_free(is_taken=is_taken)
        )
    return _answer(decision, payload, services)


@router.post("/password/submitted")
def registration_password_submitted(
    payload: RegistrationPasswordSubmitted, services: UsesServices
) -> Response:
    """The same with a password: what the edge said of it counts, and silence is a no."""
    with services.transaction() as session:
        verdict = passwords.verdict(
            session, payload.attempt, flow_id=payload.flow_id, identity_id=None
        )
        on_traits = _on_traits(session, payload, services)
    return _answer(decide_all(on_traits, decide_by_verdict(verdict)), payload, services)


def _on_traits(session: Session, payload: RegistrationSubmitted, services: Services) -> Decision:
    attempt = payload.traits.to_attempt()
    reserved = email_changes.is_reserved(session, _email(payload), but_for=None, now=services.now())
    return decide_all(
        decide_registration(attempt, registration_rules(services.settings)),
        decide_free(is_reserved=reserved),
    )


def _email(payload: RegistrationSubmitted) -> str:
    return payload.traits.email.strip().lower()


def _answer(decision: Decision, payload: RegistrationSubmitted, services: Services) -> Response:
    if isinstance(decision, Deny):
        return replies.refuse(decision)
    # The one hook that may wait for an identity's lock: no identity is held for a registration.
    asking.give_way(services, _email(payload))
    return replies.go_on_with(
        {"metadata_public": {"status": Status.PENDING_VERIFICATION, "role": Role.USER}}
    )


@router.post("/completed", status_code=204)
def registration_completed(
    payload: RegistrationCompleted, session: Transaction, services: UsesServices
) -> None:
    """Kratos has the identity; from now on we have the member too, however often this is told."""
    now = services.now()
    ensure_registered(
        session, payload.identity_id, payload.traits, flow_id=payload.flow_id, now=now
    )
    if payload.verified:
        lifecycle.verify(session, payload.identity_id, actor=Actor.PROVIDER, now=now)


@router.post("/password/completed", status_code=204)
def registration_password_completed(
    payload: RegistrationPasswordCompleted, session: Transaction, services: UsesServices
) -> None:
    """The same with a password, which is the first that may not come back."""
    registration_completed(payload, session, services)
    passwords.promote(session, payload.attempt, payload.identity_id)


def ensure_registered(
    session: Session, identity_id: UUID, traits: Traits, *, flow_id: UUID | None, now: datetime
) -> None:
    """Register the member of an identity whose own hook may never have come through."""
    lifecycle.register(
        session,
        identity_id,
        new_member(traits.to_attempt()),
        actor=Actor.MEMBER,
        flow_id=flow_id,
        now=now,
    )
