"""The role of a member, changed by an admin. Belongs to the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import admins, permissions
from integration.authority.admins import Admin
from integration.authority.refusals import expect_allowed
from integration.db import authority_audit, locks, role_holders
from integration.db import members as rows
from integration.errors import NotFoundError
from integration.members import lifecycle
from policies.authority import Role
from policies.lifecycle import Status
from policies.roles import decide_role


def assign(
    session: Session,
    admin: Admin,
    subject_id: UUID,
    role: Role,
    reason: str,
    *,
    now: datetime,
) -> Role:
    """Give a member another role and return the one it had.

    Raises:
        NotFoundError: there is no such member.
        ConflictError, ForbiddenError, InvalidInputError: as `policies.roles.decide_role` says.
    """
    locks.hold_admins(session)
    member = rows.lock(session, subject_id)
    if member is None:
        raise NotFoundError("There is no such member.", problem="member_unknown")
    before = Role(member.role)
    decision = decide_role(
        str(subject_id),
        before,
        role,
        status=Status(member.status),
        granter=admins.granter(session, admin, now=now),
        reason=reason,
        added=permissions.added(session),
        is_last_admin=role_holders.count_other_admins(session, subject_id) == 0,
    )
    follows = expect_allowed(decision)
    if before is not role:
        lifecycle.assign_role(session, subject_id, role, now=now)
        effects.record(session, subject_id, follows, now=now)
        authority_audit.record(
            session,
            admin.by,
            "role.changed",
            subject_id,
            now=now,
            before={"role": before},
            after={"role": role},
            reason=reason.strip(),
        )
    return before
