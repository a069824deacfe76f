"""Who came by another provider completes its profile, and is a member like all others."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import members
from integration.errors import ConflictError, DeniedError
from integration.members import lifecycle, tickets
from integration.services import Services
from policies.decisions import Deny
from policies.lifecycle import Actor, Trigger
from policies.login_refusals import NextStep
from policies.registration import decide_profile

_STEP = NextStep.COMPLETE_PROFILE


def complete(services: Services, ticket: str, display_name: str) -> UUID:
    """Record what the profile lacked, and make the ticket's member active; return its id.

    Raises:
        ForbiddenError: `ticket_refused`.
        DeniedError: nobody may be shown by this name.
        ConflictError: `email_not_verified`: no provider vouched for the address.
        UpstreamUnavailableError: Kratos does not answer.
    """
    now = services.now()
    decision = decide_profile(display_name)
    if isinstance(decision, Deny):
        raise DeniedError(decision.reasons)
    with services.transaction() as session:
        whose = tickets.check(session, services.settings, _STEP, ticket, now=now).identity_id
    identity = services.kratos.get(whose)
    if identity is None or not identity.is_verified():
        raise ConflictError(
            "Please verify your e-mail address first.", problem="email_not_verified"
        )
    with services.transaction() as session:
        _record(session, services, ticket, display_name.strip(), now=now)
    return whose


def _record(
    session: Session, services: Services, ticket: str, display_name: str, *, now: datetime
) -> None:
    member = tickets.redeem(session, services.settings, _STEP, ticket, now=now)
    profile = members.profile(session, member.identity_id)
    if profile is not None:
        profile.display_name, profile.updated_at = display_name, now
    lifecycle.transition(
        session, member.identity_id, Trigger.COMPLETE_PROFILE, actor=Actor.MEMBER, now=now
    )
