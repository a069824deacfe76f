"""Compares Kratos, our tables and Keto's tuples of members, and repairs what differs.

It finds what no hook told us: identities whose hook was lost, changes made past the edge, tuples
written by hand. What to repair is decided in `policies.reconciliation`.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from integration.authority import catalogue
from integration.db import epochs, locks, outbox
from integration.db import members as member_rows
from integration.db.epochs import EDGES
from integration.errors import BusyError, ConflictError, KleisError
from integration.members import factor_enrolment, lifecycle
from integration.members.email_changes import following
from integration.ory.kratos_models import Identity
from integration.services import Services
from integration.tasks import drift, session_ends
from integration.tasks import identity as identities
from integration.tasks.drift import Drift
from policies import authority
from policies.lifecycle import Actor, Trigger
from policies.reconciliation import (
    ActivateMember,
    Facts,
    FinishEmailChange,
    MarkDeleted,
    RegisterMember,
    RemoveIdentity,
    Repair,
    RepairAuthority,
    RepairIdentity,
    RepairSecondFactor,
    RepairSessions,
    SuspendMember,
    decide_repairs,
    is_mass_loss,
)
from policies.registration import RegistrationAttempt, new_member

log = structlog.get_logger()

_ONE_AT_A_TIME = 4_455_000_002
_SHOWN = 20
_TRIGGERS: dict[type[Repair], Trigger] = {
    SuspendMember: Trigger.ADMIN_DISABLE,
    MarkDeleted: Trigger.ADMIN_DELETION,
}


def reconcile(services: Services) -> list[Drift]:
    """Repair everything that differs; nothing when another run is under way.

    Raises:
        ConflictError: Kratos lost so many identities that its database is to be suspected, not
            the members. Nothing was repaired.
    """
    with services.engine.connect() as connection:
        mine = connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _ONE_AT_A_TIME})
        connection.commit()
        if not mine:
            return []
        try:
            _reconcile_catalogue(services)
            return _repair_all(services, list(drift.find(services)))
        finally:
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _ONE_AT_A_TIME})
            connection.commit()


def _reconcile_catalogue(services: Services) -> None:
    """Seed what Keto lacks about permissions, and say what others wrote about ours."""
    timeout = services.settings.database_timeout
    with locks.identity_lock(services.engine, EDGES, timeout=timeout):
        if missing := catalogue.sync(services):
            log.warning("permissions_repaired", tuples=len(missing))
    if foreign := drift.foreign(services):
        log.info("authority_from_elsewhere", count=len(foreign), tuples=foreign[:_SHOWN])


def _repair_all(services: Services, suspects: list[Drift]) -> list[Drift]:
    lost = sum(
        isinstance(repair, MarkDeleted) for suspect in suspects for repair in suspect.repairs
    )
    with services.transaction() as session:
        known = member_rows.count(session)
    if is_mass_loss(lost=lost, known=known):
        log.error("kratos_lost_identities", lost=lost, known=known)
        raise ConflictError(
            f"Kratos lacks {lost} of {known} members. Is it connected to the right database?"
        )
    repaired = []
    for suspect in suspects:
        try:
            repairs = _repair(services, suspect)
        except (KleisError, SQLAlchemyError, ValueError) as error:
            # One subject that cannot be repaired now keeps nobody else from it.
            log.warning("repair_failed", subject=suspect.subject_id, error=type(error).__name__)
            continue
        if repairs:
            repaired.append(Drift(suspect.subject_id, repairs))
    return repaired


def _repair(services: Services, suspect: Drift) -> tuple[Repair, ...]:
    if _is_identity(suspect.subject_id):
        grace = services.settings.reconcile_grace
        return reconcile_one(services, UUID(suspect.subject_id), grace=grace)
    # No identity has such a name, and nothing of ours writes it: authority of nobody.
    strays = authority.ours(services.keto.tuples_of(suspect.subject_id), ever=frozenset())
    services.keto.change(insert=frozenset(), delete=strays)
    return suspect.repairs


def _is_identity(subject_id: str) -> bool:
    try:
        return str(UUID(subject_id)) == subject_id
    except ValueError:
        return False


def after_a_change(services: Services, identity_id: UUID) -> None:
    """Compare one identity that was just changed past our own code.

    Raises:
        BusyError: effects of ours are still on their way to it; worth trying again.
    """
    with services.transaction() as session:
        if outbox.is_pending(session, identity_id, drift.LANES):
            raise BusyError("Effects of this member are still on their way.")
    # No registration is under way: nothing has to be left to a hook.
    reconcile_one(services, identity_id, grace=timedelta(0))


def reconcile_one(services: Services, identity_id: UUID, *, grace: timedelta) -> tuple[Repair, ...]:
    """Look at one subject afresh, under its lock, and repair it; return what was repaired.

    Args:
        grace: Identities younger than this are left to their own hooks.
    """
    timeout = services.settings.database_timeout
    with locks.identity_lock(services.engine, identity_id, timeout=timeout):
        current = services.kratos.get(identity_id)
        facts = drift.facts_of(services, identity_id, current)
        repairs = decide_repairs(facts, grace)
        for repair in repairs:
            log.warning("drift_repaired", subject=str(identity_id), repair=type(repair).__name__)
            _apply(services, identity_id, current, facts, repair)
    return repairs


def _apply(
    services: Services,
    identity_id: UUID,
    current: Identity | None,
    facts: Facts,
    repair: Repair,
) -> None:
    match repair:
        case RepairAuthority(wanted):
            have = authority.ours(facts.tuples, facts.ever)
            insert, delete = authority.changes(have, wanted)
            # Before, or somebody remembers the old world; after, for who asked in between.
            _move_epoch(services, identity_id)
            services.keto.change(insert=insert, delete=delete)
            _move_epoch(services, identity_id)
        case RepairSessions():
            session_ends.end_all(services, identity_id, asked_at=services.now())
        case RemoveIdentity():
            identities.delete(services, identity_id)
        case RepairIdentity(enabled) if current is not None:
            _tell_kratos(services, current, enabled=enabled)
        case FinishEmailChange():
            following.follow(services, identity_id)
        case RepairSecondFactor():
            with services.transaction() as session:
                factor_enrolment.refresh(session, services, identity_id)
        case RegisterMember() if current is not None:
            _register(services, current)
        case _:
            _move(services, identity_id, repair)


def _move_epoch(services: Services, identity_id: UUID) -> None:
    with services.transaction() as session:
        epochs.move(session, identity_id)


def _move(services: Services, identity_id: UUID, repair: Repair) -> None:
    """Take the member along the arrow that a repair names; effects follow by the outbox."""
    now = services.now()
    with services.transaction() as session:
        if isinstance(repair, ActivateMember):
            lifecycle.verify(session, identity_id, actor=Actor.SYSTEM, now=now)
            return
        lifecycle.transition(
            session,
            identity_id,
            _TRIGGERS[type(repair)],
            actor=Actor.SYSTEM,
            reason="admin_api",
            now=now,
            is_done=True,
        )


def _register(services: Services, identity: Identity) -> None:
    given = {name: str(value) for name, value in identity.traits.items()}
    attempt = RegistrationAttempt(
        email=given.get("email", ""),
        username=given.get("username", ""),
        first_name=given.get("first_name", ""),
        last_name=given.get("last_name", ""),
        display_name=given.get("display_name", ""),
    )
    with services.transaction() as session:
        lifecycle.register(
            session,
            identity.id,
            new_member(attempt),
            actor=Actor.SYSTEM,
            flow_id=None,
            now=services.now(),
        )


def _tell_kratos(services: Services, identity: Identity, *, enabled: bool) -> None:
    with services.transaction() as session:
        member = member_rows.get(session, identity.id)
    if member is not None:
        identities.write(
            services, identity, enabled=enabled, status=member.status, role=member.role
        )
