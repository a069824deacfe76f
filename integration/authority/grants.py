"""Grants of permissions: gather the facts, ask `policies.grants`, record what follows.

Every function belongs to the caller's transaction. A grant, its entry in the audit log, the move of
the epoch and the effects are written together or not at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from integration.authority import admins, permissions
from integration.authority.admins import Admin
from integration.authority.grant_endings import expire_overdue, facts_of, record
from integration.authority.refusals import expect_allowed
from integration.db import authority_audit, members
from integration.db import grants as rows
from integration.db.grant_tables import PermissionGrant
from integration.db.tables import Member
from integration.errors import ConflictError, NotFoundError
from integration.settings.grants import GrantSettings
from integration.settings.limits import read_parts
from policies import grants as policy
from policies.authority import Role
from policies.grants import Candidate, Conflicts, Wish
from policies.lifecycle import Status
from policies.permissions import EVERYTHING, permissions_of


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about grants and elevations.

    Attributes:
        requests: How often a member may ask for an elevation, and within what time.
    """

    conflicts: Conflicts = frozenset()
    longest_elevation: timedelta = timedelta(hours=8)
    request_lifetime: timedelta = timedelta(days=1)
    requests: tuple[int, timedelta] = (10, timedelta(hours=1))


def rules_of(settings: GrantSettings) -> Rules:
    most, (window,) = read_parts(settings.elevation_requests)
    return Rules(
        conflicts=settings.conflicting_permissions,
        longest_elevation=settings.elevation_longest,
        request_lifetime=settings.elevation_request_lifetime,
        requests=(most, window),
    )


def grant(
    session: Session,
    admin: Admin,
    subject_id: UUID,
    wish: Wish,
    *,
    rules: Rules,
    now: datetime,
    idempotency_key: str | None = None,
) -> PermissionGrant:
    """Give a member a permission. The same idempotency key again returns the same grant.

    Raises:
        NotFoundError: there is no such member.
        ConflictError: it has the permission already (`grant_exists`, with the `id`), the member
            is not eligible, or the key was used for something else.
        ForbiddenError, InvalidInputError: as `policies.grants.decide_grant` says.
    """
    member = _lock(session, subject_id)
    if idempotency_key is not None:
        known = rows.by_key(session, admin.by.actor, idempotency_key)
        if known is not None:
            return _same(session, known, subject_id, wish)
    expire_overdue(session, subject_id, now=now)
    permissions.hold(session)
    decision = policy.decide_grant(
        wish,
        candidate(session, member, now=now),
        admins.granter(session, admin, now=now),
        catalogue=permissions.catalogue(session).keys(),
        conflicts=rules.conflicts,
        now=now,
    )
    following = expect_allowed(decision)
    _refuse_second(session, subject_id, wish.permission)
    new = PermissionGrant(
        id=uuid4(),
        subject_id=subject_id,
        permission=wish.permission,
        reason=wish.reason.strip(),
        granted_by=admin.by.actor,
        created_at=now,
        expires_at=wish.expires_at,
        idempotency_key=idempotency_key,
    )
    session.add(new)
    session.flush()
    record(session, admin.by, "grant.created", new, following, now=now, after=facts_of(new))
    return new


def revoke(
    session: Session, admin: Admin, grant_id: UUID, reason: str, *, now: datetime
) -> PermissionGrant:
    """Take a permission away; nothing more happens when the grant has ended already.

    Raises:
        NotFoundError: there is no such grant.
        ForbiddenError, InvalidInputError: as `policies.grants.decide_revocation` says.
    """
    known = _find_locked(session, grant_id, now=now)
    giver = admins.granter(session, admin, now=now)
    following = expect_allowed(policy.decide_revocation(known.permission, reason, giver))
    if known.revoked_at is None and known.expired_at is None:
        before = facts_of(known)
        known.revoked_at, known.revoked_by = now, admin.by.actor
        record(
            session,
            admin.by,
            "grant.revoked",
            known,
            following,
            now=now,
            before=before,
            reason=reason.strip(),
        )
    return known


def renew(
    session: Session,
    admin: Admin,
    grant_id: UUID,
    *,
    expires_at: datetime | None,
    rules: Rules,
    now: datetime,
    reason: str = "",
) -> PermissionGrant:
    """Give a grant that still counts another end, earlier or later.

    Raises:
        NotFoundError: there is no such grant.
        ConflictError: it has ended (`grant_ended`), or the member is not eligible any more.
        ForbiddenError, InvalidInputError: as `policies.grants.decide_grant` says.
    """
    known = _find_locked(session, grant_id, now=now)
    if known.revoked_at is not None or known.expired_at is not None:
        raise ConflictError("This grant has ended; make a new one.", problem="grant_ended")
    member = _lock(session, known.subject_id)
    decision = policy.decide_renewal(
        Wish(known.permission, expires_at, reason or known.reason),
        candidate(session, member, now=now, without=known.permission),
        admins.granter(session, admin, now=now),
        conflicts=rules.conflicts,
        now=now,
    )
    following = expect_allowed(decision)
    before = facts_of(known)
    known.expires_at = expires_at
    record(
        session,
        admin.by,
        "grant.renewed",
        known,
        following,
        now=now,
        before=before,
        after=facts_of(known),
        reason=reason.strip(),
    )
    return known


def state_of(one: PermissionGrant, now: datetime) -> str:
    """Return `active`, `revoked` or `expired`: the truth at `now`, whoever noticed."""
    if one.revoked_at is not None:
        return "revoked"
    over = one.expires_at is not None and one.expires_at <= now
    return "expired" if over or one.expired_at is not None else "active"


def candidate(
    session: Session, member: Member, *, now: datetime, without: str | None = None
) -> Candidate:
    """Return what counts about a member who is to be granted something.

    Args:
        without: A name not to count: that of the grant to renew.
    """
    by_role = permissions_of(Role(member.role), permissions.added(session)) - {EVERYTHING}
    granted = {item.permission for item in rows.live(session, member.identity_id, now=now)}
    return Candidate(
        subject_id=str(member.identity_id),
        status=Status(member.status),
        verified=member.verified_at is not None,
        holds=frozenset(by_role | (granted - {without})),
    )


def _lock(session: Session, subject_id: UUID) -> Member:
    member = members.lock(session, subject_id)
    if member is None:
        raise NotFoundError("There is no such member.", problem="member_unknown")
    return member


def _find_locked(session: Session, grant_id: UUID, *, now: datetime) -> PermissionGrant:
    known = rows.get(session, grant_id)
    if known is None:
        raise NotFoundError("There is no such grant.", problem="grant_unknown")
    _lock(session, known.subject_id)
    expire_overdue(session, known.subject_id, now=now)
    session.flush()
    return rows.get(session, grant_id) or known


def _same(
    session: Session, known: PermissionGrant, subject_id: UUID, wish: Wish
) -> PermissionGrant:
    asked = (subject_id, wish.permission, wish.expires_at, wish.reason.strip())
    # Its end may have been moved since.
    made = authority_audit.made_grant(session, known.subject_id, known.id)
    end = made.get("expires_at")
    expires_at = None if end is None else datetime.fromisoformat(end)
    if (known.subject_id, known.permission, expires_at, known.reason) != asked:
        raise ConflictError(
            "This idempotency key was used for another grant.", problem="idempotency_key_reused"
        )
    return known


def _refuse_second(session: Session, subject_id: UUID, permission: str) -> None:
    for each in rows.unended(session, subject_id):
        if each.permission == permission:
            raise ConflictError(
                "The member has this permission already; renew the grant instead.",
                problem="grant_exists",
                facts={"id": str(each.id)},
            )
