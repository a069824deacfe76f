"""How grants end: by their time, or with their member; and how any change of one is recorded."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.db import authority_audit, epochs, members
from integration.db import grants as rows
from integration.db.authority_audit import SYSTEM, By
from integration.db.grant_tables import PermissionGrant
from policies import grants as policy
from policies.decisions import Effect

_BY_ITSELF = By(SYSTEM)


def expire_overdue(session: Session, subject_id: UUID, *, now: datetime) -> int:
    """End a member's grants whose time is over; return how many."""
    if not rows.overdue(session, subject_id, now=now):
        return 0
    # Held until the end of the transaction: another one may be ending them too.
    members.lock(session, subject_id)
    ended = rows.overdue(session, subject_id, now=now)
    for each in ended:
        each.expired_at = now
        following = policy.expired(each.permission)
        before = facts_of(each)
        record(session, _BY_ITSELF, "grant.expired", each, following, now=now, before=before)
    return len(ended)


def end_all(session: Session, subject_id: UUID, *, reason: str, now: datetime) -> None:
    """End all grants of a member who is gone for good. Keto is told by the caller's effects."""
    for each in rows.unended(session, subject_id):
        before = facts_of(each)
        each.revoked_at, each.revoked_by = now, SYSTEM
        authority_audit.record(
            session, _BY_ITSELF, "grant.revoked", subject_id, now=now, before=before, reason=reason
        )


def facts_of(one: PermissionGrant) -> dict[str, str | None]:
    """Return what the audit log says of a grant."""
    return {
        "id": str(one.id),
        "permission": one.permission,
        "expires_at": None if one.expires_at is None else one.expires_at.isoformat(),
        "reason": one.reason,
        "granted_by": one.granted_by,
    }


def record(
    session: Session,
    by: By,
    action: str,
    one: PermissionGrant,
    following: tuple[Effect, ...],
    *,
    now: datetime,
    before: dict[str, str | None] | None = None,
    after: dict[str, str | None] | None = None,
    reason: str | None = None,
) -> None:
    """Write a change of a grant down, move the epoch, and ask for what follows.

    Args:
        reason: Of the change; None: that of the grant.
    """
    authority_audit.record(
        session,
        by,
        action,
        one.subject_id,
        now=now,
        before=before,
        after=after,
        reason=one.reason if reason is None else reason,
    )
    epochs.move(session, one.subject_id, authority=True)
    effects.record(session, one.subject_id, following, now=now)
