"""Requests for a permission for a while: facts, `policies.elevations`, and what follows.

Every function belongs to the caller's transaction, and holds the member's row before the
request's.
"""

import math
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import admins, grants, permissions
from integration.authority.admins import Admin
from integration.authority.grants import Rules
from integration.authority.refusals import expect_allowed
from integration.db import authority_audit, members
from integration.db import elevations as rows
from integration.db.authority_audit import SYSTEM, By
from integration.db.grant_tables import Elevation, PermissionGrant
from integration.db.tables import Member
from integration.errors import ConflictError, LimitedError, NotFoundError
from policies import elevations as policy
from policies.elevations import ElevationState
from policies.grants import Wish


def request(
    session: Session,
    by: By,
    member_id: UUID,
    permission: str,
    duration: timedelta,
    *,
    reason: str,
    rules: Rules,
    now: datetime,
) -> Elevation:
    """Ask for a permission on behalf of the member who is calling.

    Raises:
        ConflictError: it asked already (`elevation_open`, with the `id`), or is not eligible.
        LimitedError: it asked too often.
        InvalidInputError: as `policies.elevations.decide_request` says.
    """
    member = _hold_member(session, member_id)
    _lapse_open(session, member_id, permission, now=now)
    _expect_seldom(session, member_id, rules, now)
    decision = policy.decide_request(
        permission,
        duration,
        reason,
        grants.candidate(session, member, now=now),
        catalogue=permissions.catalogue(session).keys(),
        conflicts=rules.conflicts,
        longest=rules.longest_elevation,
    )
    follows = expect_allowed(decision)
    new = Elevation(
        id=uuid4(),
        subject_id=member_id,
        permission=permission,
        duration_seconds=int(duration.total_seconds()),
        reason=reason.strip(),
        state=ElevationState.REQUESTED,
        requested_at=now,
        lapses_at=now + rules.request_lifetime,
    )
    session.add(new)
    session.flush()
    _record(session, by, new, now=now, reason=new.reason)
    effects.record(session, member_id, follows, now=now)
    return new


def approve(
    session: Session, admin: Admin, elevation_id: UUID, reason: str, *, rules: Rules, now: datetime
) -> tuple[Elevation, PermissionGrant]:
    """Approve a request: the member has the permission from now on, for the time it asked for.

    Raises:
        NotFoundError: there is no such request.
        ConflictError, ForbiddenError, InvalidInputError: as `decide_approval` says.
    """
    known, member = _hold(session, elevation_id)
    wish = Wish(known.permission, now + timedelta(seconds=known.duration_seconds), known.reason)
    expect_allowed(
        policy.decide_approval(
            wish,
            grants.candidate(session, member, now=now),
            admins.granter(session, admin, now=now),
            state=ElevationState(known.state),
            lapses_at=known.lapses_at,
            catalogue=permissions.catalogue(session).keys(),
            conflicts=rules.conflicts,
            now=now,
        )
    )
    made = grants.grant(session, admin, known.subject_id, wish, rules=rules, now=now)
    known.grant_id = made.id
    _decide(session, admin.by, known, ElevationState.APPROVED, reason, now=now)
    return known, made


def deny(
    session: Session, admin: Admin, elevation_id: UUID, reason: str, *, now: datetime
) -> Elevation:
    """Deny a request; the member is told the reason.

    Raises:
        NotFoundError: there is no such request.
        ConflictError, ForbiddenError, InvalidInputError: as `decide_denial` says.
    """
    known, _ = _hold(session, elevation_id)
    decision = policy.decide_denial(
        known.permission,
        str(known.subject_id),
        admins.granter(session, admin, now=now),
        reason,
        state=ElevationState(known.state),
        lapses_at=known.lapses_at,
        now=now,
    )
    follows = expect_allowed(decision)
    _decide(session, admin.by, known, ElevationState.DENIED, reason, now=now)
    effects.record(session, known.subject_id, follows, now=now)
    return known


def withdraw(
    session: Session, by: By, member_id: UUID, elevation_id: UUID, *, now: datetime
) -> Elevation:
    """Take back a request of the member who is calling.

    Raises:
        NotFoundError: it made no such request.
        ConflictError: it is decided already.
    """
    seen = rows.get(session, elevation_id)
    if seen is None or seen.subject_id != member_id:
        raise NotFoundError("There is no such request.", problem="elevation_unknown")
    known, _ = _hold(session, elevation_id)
    expect_allowed(
        policy.decide_withdrawal(
            str(known.subject_id),
            str(member_id),
            state=ElevationState(known.state),
            lapses_at=known.lapses_at,
            now=now,
        )
    )
    _decide(session, by, known, ElevationState.WITHDRAWN, "", now=now)
    return known


def lapse(session: Session, *, now: datetime) -> int:
    """Close requests that nobody decided in time; return how many."""
    late = rows.lapsed(session, now=now)
    for each in late:
        _decide(session, By(SYSTEM), each, ElevationState.EXPIRED, "", now=now)
    return len(late)


def _lapse_open(session: Session, member_id: UUID, permission: str, *, now: datetime) -> None:
    """Make room for a new request, where an old one has lapsed.

    Raises:
        ConflictError: there is one that can still be decided.
    """
    known = rows.open_one(session, member_id, permission)
    if known is None:
        return
    if known.lapses_at > now:
        raise ConflictError(
            "You have asked for this already.",
            problem="elevation_open",
            facts={"id": str(known.id)},
        )
    _decide(session, By(SYSTEM), known, ElevationState.EXPIRED, "", now=now)
    session.flush()


def _expect_seldom(session: Session, member_id: UUID, rules: Rules, now: datetime) -> None:
    most, window = rules.requests
    wait = policy.wait_to_request(rows.asked(session, member_id, limit=most), most, window, now)
    if wait is not None:
        raise LimitedError(
            "You have asked too often. Please try again later.",
            retry_after=str(math.ceil(wait.total_seconds())),
            limit=("elevations", most, int(window.total_seconds())),
        )


def _hold(session: Session, elevation_id: UUID) -> tuple[Elevation, Member]:
    seen = rows.get(session, elevation_id)
    if seen is None:
        raise NotFoundError("There is no such request.", problem="elevation_unknown")
    member = _hold_member(session, seen.subject_id)
    return rows.lock(session, elevation_id) or seen, member


def _hold_member(session: Session, member_id: UUID) -> Member:
    member = members.lock(session, member_id)
    if member is None:
        raise NotFoundError("There is no such member.", problem="member_unknown")
    return member


def _decide(
    session: Session,
    by: By,
    known: Elevation,
    state: ElevationState,
    reason: str,
    *,
    now: datetime,
) -> None:
    before = {"state": known.state}
    known.state = state
    known.decided_at, known.decided_by = now, by.actor
    known.decision_reason = reason.strip()
    _record(session, by, known, now=now, reason=known.decision_reason, before=before)


def _record(
    session: Session,
    by: By,
    known: Elevation,
    *,
    now: datetime,
    reason: str,
    before: dict[str, str] | None = None,
) -> None:
    after = {
        "id": str(known.id),
        "state": known.state,
        "permission": known.permission,
        "duration_seconds": known.duration_seconds,
        "grant_id": None if known.grant_id is None else str(known.grant_id),
    }
    authority_audit.record(
        session,
        by,
        f"elevation.{known.state}",
        known.subject_id,
        now=now,
        before=before,
        after=after,
        reason=reason,
    )
