"""Kratos' courier hands over a mail, and asks again until it is taken."""

import hashlib
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fastapi import APIRouter

from hooks.authentication import FromKratos
from hooks.payloads import CourierMail
from integration import effects
from integration.db import email_changes, inbox, outbox
from integration.dependencies import Transaction, UsesServices
from integration.members import lifecycle

router = APIRouter(prefix="/hooks/courier", dependencies=[FromKratos])

# Kratos' names of mails, and the templates that say the same in our words.
_TEMPLATES = {
    "verification_code_valid": "verification_code",
    "recovery_code_valid": "recovery_code",
    "login_code_valid": "login_code",
}
_VERIFICATION = "verification_code_valid"


@router.post("", status_code=204)
def courier(payload: CourierMail, session: Transaction, services: UsesServices) -> None:
    """Put one mail into the outbox. For an expired member it is the resend of the diagram."""
    if not inbox.claim(session, _name(payload)):
        return
    now = services.now()
    template = _TEMPLATES.get(payload.template, "") if payload.code else ""
    outbox.add(
        session,
        lane="mail",
        kind=effects.COURIER_MAIL,
        # Its own lane: a code must not wait for another mail of the member.
        identity_id=None,
        payload={
            "template": template,
            "to": payload.recipient,
            "facts": {"code": payload.code, "link": payload.link},
            "subject": payload.subject,
            "text": payload.body,
        },
        now=now,
    )
    if payload.template == _VERIFICATION and payload.identity_id is not None:
        lifecycle.resend(session, payload.identity_id, now=now)
        flow_id = _flow_id(payload.link)
        if flow_id is not None:
            recipient = payload.recipient.lower()
            email_changes.note_flow(session, payload.identity_id, recipient, flow_id)


def _flow_id(link: str) -> UUID | None:
    """Return the flow whose code a mail has. `POST /api/me/email/confirm` needs no more of it."""
    try:
        return UUID(parse_qs(urlsplit(link).query)["flow"][0])
    except (KeyError, ValueError):
        return None


def _name(payload: CourierMail) -> str:
    """Name the mail by what it says: the code in it makes each one different."""
    said = "\0".join((payload.template, payload.recipient, payload.subject, payload.body))
    return f"courier:{hashlib.sha256(said.encode()).hexdigest()}"
