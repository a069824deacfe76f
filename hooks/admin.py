"""An admin changed an identity past our API. The edge tells it: Kratos itself calls nobody."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.orm import Session

from hooks.authentication import FromKratos
from hooks.payloads import HookPayload
from integration.db import epochs, passwords
from integration.db import members as member_rows
from integration.dependencies import Transaction, UsesServices
from integration.errors import ConflictError
from integration.members import factor_enrolment, lifecycle
from integration.ory.kratos_models import Identity
from integration.services import Services
from policies.admin_changes import Move, Seen, decide_enabling, decide_moves
from policies.decisions import Deny
from policies.lifecycle import Actor, Status, Trigger
from policies.registration import RegistrationAttempt, new_member

router = APIRouter(prefix="/hooks/admin", dependencies=[FromKratos])

_REASON = "admin_api"
_TRIGGERS = {
    Move.DISABLE: Trigger.ADMIN_DISABLE,
    Move.ENABLE: Trigger.ADMIN_ENABLE,
    Move.DELETE: Trigger.ADMIN_DELETION,
}
_TRAITS = ("email", "username", "first_name", "last_name", "display_name")


class Asked(HookPayload):
    """Somebody is about to set `state: active`."""

    identity_id: UUID


class NewPassword(HookPayload):
    """What the history keeps of a password: hexadecimal."""

    salt: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Change(HookPayload):
    """One identity as Kratos has it now; `after` is None when it is gone.

    `password` is what the call set in clear text, if it did.
    """

    identity_id: UUID
    state: Literal["active", "inactive"] | None
    after: Identity | None
    password: NewPassword | None = None


class Changed(HookPayload):
    """What one call changed. The edge holds the identity's lock while it tells it."""

    changes: Annotated[tuple[Change, ...], Field(max_length=200)]


@router.post("/asked", status_code=204)
def admin_asked(payload: Asked, session: Transaction) -> None:
    """Refuse, while Kratos is still untouched, to enable whom no arrow leads back."""
    member = member_rows.get(session, payload.identity_id)
    decision = decide_enabling(None if member is None else Status(member.status))
    if isinstance(decision, Deny):
        raise ConflictError(decision.reasons[0].text, detail=decision.reasons[0].code)


@router.post("/changed", status_code=204)
def admin_changed(payload: Changed, session: Transaction, services: UsesServices) -> None:
    """Let the members follow, all in one transaction."""
    if len(payload.changes) == 1 and payload.changes[0].after is not None:
        # Batches only make identities, which come without second factors.
        factor_enrolment.refresh(session, services, payload.changes[0].identity_id)
    for change in payload.changes:
        _follow(session, services, change)


def _follow(session: Session, services: Services, change: Change) -> None:
    now = services.now()
    member = member_rows.lock(session, change.identity_id)
    seen = None if change.after is None else _seen(change.after, change.state)
    for move in decide_moves(None if member is None else Status(member.status), seen):
        if move is Move.REGISTER and change.after is not None:
            attempt = _attempt(change.after)
            lifecycle.register(
                session,
                change.identity_id,
                new_member(attempt),
                actor=Actor.ADMIN,
                flow_id=None,
                now=now,
            )
        elif move is Move.VERIFY:
            lifecycle.verify(session, change.identity_id, actor=Actor.SYSTEM, now=now)
        else:
            lifecycle.transition(
                session,
                change.identity_id,
                _TRIGGERS[move],
                actor=Actor.ADMIN,
                reason=_REASON,
                now=now,
                is_done=True,
            )
    if member is not None and change.after is not None:
        _copy_traits(session, change.identity_id, change.after)
    if change.password is not None and change.after is not None:
        salt, digest = bytes.fromhex(change.password.salt), bytes.fromhex(change.password.digest)
        passwords.remember(session, change.identity_id, salt, digest)


def _seen(identity: Identity, asked: str | None) -> Seen:
    return Seen(
        enabled=identity.is_enabled(),
        email_verified=identity.is_verified(),
        asked_to_enable=asked == "active",
    )


def _attempt(identity: Identity) -> RegistrationAttempt:
    return RegistrationAttempt(**{name: str(identity.traits.get(name, "")) for name in _TRAITS})


def _copy_traits(session: Session, identity_id: UUID, identity: Identity) -> None:
    member = member_rows.lock(session, identity_id)
    if member is None or member.status == Status.DELETED:
        return
    traits = _attempt(identity)
    member.email = traits.email.lower()
    member.username = traits.username
    member.first_name = traits.first_name
    member.last_name = traits.last_name
    epochs.move(session, identity_id)
