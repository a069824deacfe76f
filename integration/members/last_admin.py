"""There is always an active admin: asked before a member stops being active.

Belongs to the caller's transaction. Whoever makes and unmakes admins holds the same lock
(`integration.db.locks.hold_admins`), the edge too (`integration/edge/admin/last_admin.py`).
"""

from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import locks, members, role_holders
from integration.db.tables import Member
from integration.errors import BusyError, ConflictError
from policies.authority import Role
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.roles import decide_leaving


def hold(session: Session, identity_id: UUID) -> bool:
    """Let nobody else change who is admin until the transaction ends, where the member is one.

    To be called before any member's row is held.

    Returns:
        Whether it is.
    """
    member = members.get(session, identity_id)
    is_admin = member is not None and member.role == Role.ADMIN
    if is_admin:
        locks.hold_admins(session)
    return is_admin


def expect_another(session: Session, member: Member, target: Status, *, is_held: bool) -> None:
    """Return when there is an active admin after this member, whose row is held, became `target`.

    Args:
        is_held: As `hold` returned it.

    Raises:
        ConflictError: `last_admin`.
        BusyError: the member became an admin between the two calls; worth trying again.
    """
    if member.role != Role.ADMIN:
        return
    if not is_held:
        raise BusyError("Somebody else is changing this account.")
    is_last = role_holders.count_other_admins(session, member.identity_id) == 0
    decision = decide_leaving(Role.ADMIN, Status(member.status), target, is_last_admin=is_last)
    if isinstance(decision, Deny):
        [reason] = decision.reasons
        raise ConflictError(reason.text, problem=reason.code)
