"""What a policy asks for, as rows of the outbox, and back again."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import outbox
from integration.db.tables import OutboxEffect
from policies.decisions import (
    DeleteIdentity,
    Effect,
    EndOlderSessions,
    EndSession,
    EndSessions,
    FollowEmailChange,
    FollowSessions,
    ForgetCredentials,
    PublishEvent,
    SendMail,
    SyncAuthority,
    SyncIdentity,
    SyncPermissions,
)

# Effects of one member in one lane keep their order; lanes do not wait for each other, so that
# a mail server that is down keeps nobody's authority.
LANES: dict[type[Effect], str] = {
    SyncAuthority: "authority",
    SyncPermissions: "permissions",
    SyncIdentity: "identity",
    EndSessions: "identity",
    EndSession: "sessions",
    EndOlderSessions: "sessions",
    # A lane of its own: it waits for a minute, and no end of a session waits for it.
    FollowSessions: "session_check",
    DeleteIdentity: "identity",
    # A lane of its own: nobody's suspension waits for another address.
    FollowEmailChange: "account",
    ForgetCredentials: "account",
    SendMail: "mail",
    PublishEvent: "event",
}
KINDS: dict[str, type[Effect]] = {
    "sync_authority": SyncAuthority,
    "sync_permissions": SyncPermissions,
    "sync_identity": SyncIdentity,
    "end_sessions": EndSessions,
    "end_session": EndSession,
    "end_older_sessions": EndOlderSessions,
    "follow_sessions": FollowSessions,
    "delete_identity": DeleteIdentity,
    "follow_email_change": FollowEmailChange,
    "forget_credentials": ForgetCredentials,
    "send_mail": SendMail,
    "publish_event": PublishEvent,
}
# Mail of Kratos' courier comes with its own words and recipient, and of no policy's decision.
COURIER_MAIL = "courier_mail"
# Somebody changed an identity past our own code: compare it with Kratos and Keto now.
RECONCILE = "reconcile"
RECONCILE_LANE = "reconcile"

# What a change of status or role entails in Keto and Kratos.
TELL_ORY: tuple[Effect, ...] = (SyncAuthority(), SyncIdentity())

AUTHORITY_LANES = ("authority", "identity", RECONCILE_LANE)

_KIND_OF = {effect: kind for kind, effect in KINDS.items()}


def record(
    session: Session, identity_id: UUID, effects: Iterable[Effect], *, now: datetime
) -> None:
    """Ask for `effects` of one member, in the caller's transaction and in this order."""
    for effect in effects:
        outbox.add(
            session,
            lane=LANES[type(effect)],
            kind=_KIND_OF[type(effect)],
            identity_id=identity_id,
            payload=_payload(effect),
            now=now,
        )


def record_later(
    session: Session,
    identity_id: UUID,
    effect: Effect,
    *,
    effect_id: UUID,
    delay: timedelta,
    now: datetime,
) -> None:
    """Ask for one effect that must not start before `delay` has passed."""
    outbox.add(
        session,
        lane=LANES[type(effect)],
        kind=_KIND_OF[type(effect)],
        identity_id=identity_id,
        payload=_payload(effect),
        now=now,
        effect_id=effect_id,
        delay=delay,
    )


def record_reconciliation(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """Ask for one identity to be compared with Kratos and Keto."""
    outbox.add(
        session,
        lane=RECONCILE_LANE,
        kind=RECONCILE,
        identity_id=identity_id,
        payload={},
        now=now,
    )


def kind_of(effect: type[Effect]) -> str:
    """Return what rows of such effects have as their kind."""
    return _KIND_OF[effect]


def restore(row: OutboxEffect) -> Effect:
    """Return the effect that a row asks for.

    Raises:
        KeyError: its kind is none of `KINDS`.
    """
    kind = KINDS[row.kind]
    if kind is PublishEvent:
        facts = tuple(sorted(row.payload["facts"].items()))
        return PublishEvent(row.payload["name"], facts)
    if kind is SendMail:
        mentioned = tuple(sorted(row.payload.get("facts", {}).items()))
        return SendMail(row.payload["template"], mentioned, row.payload.get("to", ""))
    return kind(**row.payload)


def _payload(effect: Effect) -> dict[str, Any]:
    if isinstance(effect, PublishEvent):
        return {"name": effect.name, "facts": dict(effect.facts)}
    if isinstance(effect, SendMail):
        mentioned = {"facts": dict(effect.facts)} if effect.facts else {}
        elsewhere = {"to": effect.to} if effect.to else {}
        return {"template": effect.template, **mentioned, **elsewhere}
    return asdict(effect)
