"""Somebody registers."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy.orm import Session

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import RegistrationCompleted, RegistrationSubmitted, Traits
from integration import members
from integration.dependencies import Transaction, UsesServices
from integration.rules import registration_rules
from policies.authority import Role
from policies.decisions import Deny
from policies.lifecycle import Actor, Status
from policies.registration import decide_registration, new_member

router = APIRouter(prefix="/hooks/registration", dependencies=[FromKratos])


@router.post("/submitted")
def registration_submitted(payload: RegistrationSubmitted, services: UsesServices) -> Response:
    """The person waits for this answer. Nothing is written: nothing exists yet."""
    rules = registration_rules(services.settings)
    decision = decide_registration(payload.traits.to_attempt(), rules)
    if isinstance(decision, Deny):
        return replies.refuse(decision)
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
        members.verify(session, payload.identity_id, actor=Actor.PROVIDER, now=now)


def ensure_registered(
    session: Session, identity_id: UUID, traits: Traits, *, flow_id: UUID | None, now: datetime
) -> None:
    """Register the member of an identity whose own hook may never have come through."""
    members.register(
        session,
        identity_id,
        new_member(traits.to_attempt()),
        actor=Actor.MEMBER,
        flow_id=flow_id,
        now=now,
    )
