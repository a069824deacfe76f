"""Keto's tuples of one member, made to match what our tables say."""

import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from integration.authority import grant_endings
from integration.db import epochs, locks, members
from integration.db import grants as grant_rows
from integration.errors import UpstreamUnavailableError
from integration.ory.keto import Keto
from integration.services import Services
from policies import authority
from policies.authority import RelationTuple, Role
from policies.lifecycle import Status

# The edge waits for this with a request in its hands.
SETTLE_WITHIN = timedelta(milliseconds=900)
_HURRY = "set local lock_timeout = 400; set local statement_timeout = 400"


def sync(services: Services, identity_id: UUID, keto: Keto | None = None) -> None:
    """Write the difference, if any. The caller holds the identity's lock.

    The member and its grants are read now, not when the effect was asked for: an effect that
    comes late or twice can never give back what was taken since.

    Args:
        keto: With other deadlines than everybody's.
    """
    keto = keto or services.keto
    now = services.now()
    with services.transaction() as session:
        # Before the member is read: what changes afterwards is not told by this.
        epoch = epochs.current(session, identity_id)
        told = grant_rows.told(session, identity_id, now=now)
    have = authority.ours(keto.tuples_of(str(identity_id)), told.ever)
    insert, delete = authority.changes(have, _wanted(services, identity_id, told.live))
    keto.change(insert=insert, delete=delete)
    with services.transaction() as session:
        grant_rows.mark_removed(session, told.ended, now=now)
        epochs.settled(session, identity_id, epoch)


def settle(services: Services, identity_id: UUID) -> None:
    """Return when Keto holds exactly what our tables say of this subject now.

    Grants whose time is over end here, if nobody ended them yet. Takes the identity's lock.

    Raises:
        BusyError, UpstreamUnavailableError: not within `SETTLE_WITHIN`.
    """
    if _is_settled(services, identity_id):
        return
    deadline = time.monotonic() + SETTLE_WITHIN.total_seconds()
    with locks.identity_lock(services.engine, identity_id, timeout=SETTLE_WITHIN / 2):
        with services.transaction() as session:
            session.execute(text(_HURRY))
            grant_endings.expire_overdue(session, identity_id, now=services.now())
        left = timedelta(seconds=deadline - time.monotonic())
        sync(services, identity_id, services.keto.within(left))
    if not _is_settled(services, identity_id):
        raise UpstreamUnavailableError("This member is being changed.", detail=str(identity_id))


def _is_settled(services: Services, identity_id: UUID) -> bool:
    now = services.now()
    with services.transaction() as session:
        settling = epochs.is_settling(session, identity_id)
        return not settling and not grant_rows.is_unremoved(session, identity_id, now=now)


def _wanted(
    services: Services, identity_id: UUID, live: frozenset[str]
) -> frozenset[RelationTuple]:
    """Return the tuples a subject should have; none when it is no member."""
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None:
            return frozenset()
        status, role = Status(member.status), Role(member.role)
    subject_id = str(identity_id)
    return authority.platform_tuples(subject_id, status, role) | authority.grant_tuples(
        subject_id, status, live
    )
