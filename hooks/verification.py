"""Somebody proves an address with the code from the mail."""

from fastapi import APIRouter

from hooks.authentication import FromKratos
from hooks.payloads import VerificationCompleted
from hooks.registration import ensure_registered
from integration.dependencies import Transaction, UsesServices
from integration.members import lifecycle
from integration.members.email_changes import recording
from policies.lifecycle import Actor

router = APIRouter(prefix="/hooks/verification", dependencies=[FromKratos])


@router.post("/completed", status_code=204)
def verification_completed(
    payload: VerificationCompleted, session: Transaction, services: UsesServices
) -> None:
    """The address is verified in Kratos, whatever we answer: so the member is active.

    Or it is the address a member wants to have from now on, which the worker then makes its own.
    """
    now = services.now()
    ensure_registered(session, payload.identity_id, payload.traits, flow_id=None, now=now)
    if payload.verified:
        lifecycle.verify(session, payload.identity_id, actor=Actor.MEMBER, now=now)
    if payload.pending_email and payload.pending_verified:
        recording.proven(
            session,
            payload.identity_id,
            payload.pending_email.lower(),
            services.settings,
            now=now,
        )
