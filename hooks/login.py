"""Somebody logs in, with whatever method."""

from fastapi import APIRouter
from fastapi.responses import Response

from hooks import replies
from hooks.authentication import FromKratos
from hooks.payloads import LoginSubmitted
from integration.db import members
from integration.dependencies import Transaction
from integration.members import password_changes
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login

router = APIRouter(prefix="/hooks/login", dependencies=[FromKratos])


@router.post("/submitted")
def login_submitted(payload: LoginSubmitted, session: Transaction) -> Response:
    """Blocking, after the credentials were right: our state decides, not Kratos'."""
    member = members.get(session, payload.identity_id)
    decision = decide_login(
        None if member is None else Status(member.status),
        is_forgetting=password_changes.is_forgetting(session, payload.identity_id),
    )
    return replies.refuse(decision) if isinstance(decision, Deny) else replies.go_on()
