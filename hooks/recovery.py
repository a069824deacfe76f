"""Somebody who lost the credentials gives the code from the mail."""

from fastapi import APIRouter
from fastapi.responses import Response

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import RecoveryCompleted, RecoverySubmitted
from hooks.registration import ensure_registered
from integration import effects
from integration.db import member_sessions, security_events
from integration.db import members as member_rows
from integration.dependencies import Transaction, UsesServices
from integration.members import lifecycle
from policies.decisions import Deny, ForgetCredentials
from policies.lifecycle import Actor, Status
from policies.login import decide_recovery
from policies.security_events import Kind

router = APIRouter(prefix="/hooks/recovery", dependencies=[FromKratos])


@router.post("/submitted")
def recovery_submitted(payload: RecoverySubmitted, session: Transaction) -> Response:
    """Blocking, before there is a session: those who are shut out stay out."""
    member = member_rows.get(session, payload.identity_id)
    decision = decide_recovery(None if member is None else Status(member.status))
    return replies.refuse(decision) if isinstance(decision, Deny) else replies.go_on()


@router.post("/completed", status_code=204)
def recovery_completed(
    payload: RecoveryCompleted, session: Transaction, services: UsesServices
) -> None:
    """The code came by mail: it proves the address as well as a verification does.

    Who proves it this way first may be another than who registered with it and knows the password:
    that one stops working, and the person sets a new one.
    """
    now = services.now()
    identity_id = payload.identity_id
    ensure_registered(session, identity_id, payload.traits, flow_id=None, now=now)
    if lifecycle.verify(session, identity_id, actor=Actor.MEMBER, now=now):
        security_events.record(session, identity_id, Kind.PASSWORD_REMOVED, {}, now)
        forgetting = ForgetCredentials(before=now.isoformat())
        effects.record(session, identity_id, (forgetting,), now=now)
    # Kratos ends the other sessions now. Whoever knows the old password may start one again: it
    # is held until the mailbox agrees (policies/step_up.py).
    member_sessions.end_all(session, identity_id, reason="recovered", now=now)
    member_rows.recovered(session, identity_id, now=now)
