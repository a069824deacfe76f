"""Brings about one effect, at least once."""

import random
from datetime import datetime
from uuid import UUID

import structlog

from integration import effects
from integration.authority import catalogue, keto_tuples
from integration.db import locks, outbox
from integration.db.tables import OutboxEffect
from integration.errors import KleisError, UpstreamRefusedError
from integration.members import password_changes
from integration.members.email_changes import following
from integration.services import Services
from integration.tasks import events, identity, mail, reconcile, session_ends
from integration.tasks.relay import held_lanes
from policies import retries
from policies.decisions import (
    DeleteIdentity,
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

log = structlog.get_logger()


def deliver(services: Services, effect_id: UUID) -> bool:
    """Bring about one effect and mark it done; on failure set when it is tried again.

    The row stays locked while the world is called, so that two workers never deliver the same
    effect at once. A crash after the call and before the commit delivers again, which is why
    every effect is safe to repeat.

    Returns:
        False when there was nothing to do, or it failed.
    """
    try:
        following = _attempt(services, effect_id)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the row must say so
        _postpone(services, effect_id, error)
        return False
    if following:
        services.ring(tuple(following))
    return following is not None


def _attempt(services: Services, effect_id: UUID) -> list[UUID] | None:
    with services.transaction() as session:
        row = outbox.lock(session, effect_id, held_lanes=held_lanes(services))
        if row is None:
            return None
        with structlog.contextvars.bound_contextvars(effect=row.kind, effect_id=str(row.id)):
            _bring_about(services, row)
            outbox.finish(row, now=services.now(), forget_payload=row.lane == "mail")
            log.info("effect_delivered")
        session.flush()
        following = outbox.next_in_lane(session, row)
    return [] if following is None else [following]


def _bring_about(services: Services, row: OutboxEffect) -> None:
    if row.kind == effects.COURIER_MAIL:
        mail.send_courier_mail(services, row)
        return
    if row.identity_id is None:
        raise UpstreamRefusedError("The effect names no member.", detail=row.kind)
    if row.kind == effects.RECONCILE:
        reconcile.after_a_change(services, row.identity_id)
        return
    _bring_about_decided(services, row, row.identity_id)


def _bring_about_decided(services: Services, row: OutboxEffect, identity_id: UUID) -> None:
    match effects.restore(row):
        case SendMail() as wanted:
            mail.send_to_member(services, row, identity_id, wanted)
        case PublishEvent() as event:
            events.publish(services, row, identity_id, event)
        case told:
            timeout = services.settings.database_timeout
            with locks.identity_lock(services.engine, identity_id, timeout=timeout):
                _tell_ory(services, identity_id, told, row.created_at)


def _tell_ory(
    services: Services,
    identity_id: UUID,
    effect: SyncAuthority
    | SyncPermissions
    | SyncIdentity
    | EndSession
    | EndSessions
    | EndOlderSessions
    | FollowSessions
    | DeleteIdentity
    | FollowEmailChange
    | ForgetCredentials,
    asked_at: datetime,
) -> None:
    match effect:
        case SyncAuthority():
            keto_tuples.sync(services, identity_id)
        case SyncPermissions():
            catalogue.sync(services)
        case SyncIdentity(enable):
            identity.sync(services, identity_id, enable=enable)
        case EndSession() | EndSessions() | EndOlderSessions() | FollowSessions():
            _end_sessions(services, identity_id, effect, asked_at)
        case DeleteIdentity():
            identity.delete(services, identity_id)
        case other:
            _change_credentials(services, identity_id, other)


def _end_sessions(
    services: Services,
    identity_id: UUID,
    effect: EndSession | EndSessions | EndOlderSessions | FollowSessions,
    asked_at: datetime,
) -> None:
    match effect:
        case EndSession(session_id):
            session_ends.end_one(services, UUID(session_id))
        case EndSessions():
            session_ends.end_all(services, identity_id, asked_at=asked_at)
        case EndOlderSessions(before):
            session_ends.end_older(services, identity_id, datetime.fromisoformat(before))
        case FollowSessions():
            session_ends.follow(services, identity_id)


def _change_credentials(
    services: Services, identity_id: UUID, effect: FollowEmailChange | ForgetCredentials
) -> None:
    match effect:
        case FollowEmailChange():
            following.follow(services, identity_id)
        case ForgetCredentials(before):
            password_changes.forget(services, identity_id, before=datetime.fromisoformat(before))


def _postpone(services: Services, effect_id: UUID, error: Exception) -> None:
    now = services.now()
    with services.transaction() as session:
        tried = outbox.attempts(session, effect_id) + 1
        wait = retries.wait_after(tried, random.random())  # noqa: S311 - spreads load, no secret
        exhausted = retries.is_exhausted(tried, services.settings.max_attempts)
        outbox.postpone(
            session,
            effect_id,
            error=_describe(error),
            due_at=now + wait,
            parked_at=now if exhausted else None,
        )
    expected = isinstance(error, KleisError | OSError)
    log.warning(
        "effect_parked" if exhausted else "effect_failed",
        effect_id=str(effect_id),
        attempts=tried,
        error=_describe(error),
        exc_info=None if expected else error,
    )


def _describe(error: Exception) -> str:
    if isinstance(error, KleisError):
        return f"{error.code}: {error.detail or error.message}"
    return type(error).__name__
