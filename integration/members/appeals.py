"""Appeals against a suspension: facts, `policies.appeals`, and what follows.

Every function belongs to the caller's transaction, and holds the member's row before the appeal's.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import admins, permissions
from integration.authority.admins import Admin
from integration.authority.refusals import expect_allowed
from integration.db import appeals as rows
from integration.db import authority_audit, members
from integration.db.appeal_tables import Appeal
from integration.db.tables import Member
from integration.errors import NotFoundError
from integration.members import lifecycle
from policies.appeals import (
    AppealState,
    Past,
    decide_acceptance,
    decide_appeal,
    decide_appealing,
    decide_rejection,
)
from policies.authority import Role
from policies.decisions import Allow
from policies.lifecycle import Actor, Status, Trigger


def may_appeal(session: Session, member: Member, *, now: datetime) -> bool:
    """Tell whether a member may appeal now."""
    past = _past(session, member)
    return isinstance(decide_appealing(Status(member.status), past, now=now), Allow)


def make(session: Session, member: Member, statement: str, *, now: datetime) -> Appeal:
    """Record an appeal of a member whose row is held.

    Raises:
        ConflictError, InvalidInputError: as `policies.appeals.decide_appeal` says.
    """
    past = _past(session, member)
    decision = decide_appeal(Status(member.status), past, statement, now=now)
    follows = expect_allowed(decision)
    made = rows.add(
        session,
        member.identity_id,
        statement.strip(),
        suspended_at=member.status_changed_at,
        now=now,
    )
    effects.record(session, member.identity_id, follows, now=now)
    return made


def accept(
    session: Session, admin: Admin, appeal_id: UUID, reason: str, *, now: datetime
) -> Appeal:
    """Accept an appeal: its member is active again.

    Raises:
        NotFoundError: there is no such appeal.
        ConflictError, ForbiddenError, InvalidInputError: as `decide_acceptance` says.
    """
    appeal, member = _hold(session, appeal_id)
    decision = decide_acceptance(
        AppealState(appeal.state),
        str(member.identity_id),
        Role(member.role),
        admins.granter(session, admin, now=now),
        reason,
        added=permissions.added(session),
    )
    follows = expect_allowed(decision)
    _decide(session, admin, appeal, AppealState.ACCEPTED, reason, now=now)
    lifecycle.transition(
        session,
        member.identity_id,
        Trigger.APPEAL_APPROVED,
        actor=_actor(session, admin),
        reason=reason.strip(),
        now=now,
    )
    effects.record(session, member.identity_id, follows, now=now)
    return appeal


def reject(
    session: Session, admin: Admin, appeal_id: UUID, reason: str, *, now: datetime
) -> Appeal:
    """Reject an appeal; the member is told the reason.

    Raises:
        NotFoundError: there is no such appeal.
        ConflictError, ForbiddenError, InvalidInputError: as `decide_rejection` says.
    """
    appeal, member = _hold(session, appeal_id)
    decision = decide_rejection(
        AppealState(appeal.state),
        str(member.identity_id),
        admins.granter(session, admin, now=now),
        reason,
    )
    follows = expect_allowed(decision)
    _decide(session, admin, appeal, AppealState.REJECTED, reason, now=now)
    effects.record(session, member.identity_id, follows, now=now)
    return appeal


def _past(session: Session, member: Member) -> Past:
    return rows.past(session, member.identity_id, suspended_at=member.status_changed_at)


def _hold(session: Session, appeal_id: UUID) -> tuple[Appeal, Member]:
    unknown = NotFoundError("There is no such appeal.", problem="appeal_unknown")
    seen = rows.get(session, appeal_id)
    member = None if seen is None else members.lock(session, seen.identity_id)
    # Whoever held the member may have decided it, or deleted all.
    appeal = rows.get(session, appeal_id)
    if appeal is None or member is None:
        raise unknown
    return appeal, member


def _actor(session: Session, admin: Admin) -> Actor:
    if admin.member_id is None:
        return Actor.ADMIN
    decider = members.get(session, admin.member_id)
    is_admin = decider is not None and decider.role == Role.ADMIN
    return Actor.ADMIN if is_admin else Actor.MODERATOR


def _decide(
    session: Session,
    admin: Admin,
    appeal: Appeal,
    state: AppealState,
    reason: str,
    *,
    now: datetime,
) -> None:
    appeal.state = state
    appeal.decided_at, appeal.decided_by = now, admin.by.actor
    appeal.decision_reason = reason.strip()
    # Before the member leaves its state, which ends what is open.
    session.flush()
    authority_audit.record(
        session,
        admin.by,
        f"appeal.{state}",
        appeal.identity_id,
        now=now,
        before={"state": AppealState.OPEN},
        after={"id": str(appeal.id), "state": state},
        reason=appeal.decision_reason,
    )
