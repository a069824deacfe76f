"""Whom tokens are for: a session with its member and permissions, all read in one statement."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from integration.db.statements import Statements


class Holder(NamedTuple):
    """A member and one of its sessions, at one moment.

    Attributes:
        status: None: there is no such member.
        granted: Permissions of grants that count.
        added: The application's own permissions that some role has: `<lowest role> <name>`.
        started_at: None: there is no such session of this member; then so is all that follows.
        session_expires_at: Kratos' end.
        session_ended_at: Since when it is over.
        aal: `aal1` or `aal2`.
        hold: Why it waits for a second factor; None: it is not held.
        has_profile: The member was set up completely; who has tokens was.
    """

    status: str | None
    role: str
    has_second_factor: bool
    requires_second_factor: bool
    granted: list[str]
    added: list[str]
    started_at: datetime | None
    authenticated_at: datetime
    last_activity_at: datetime
    session_expires_at: datetime
    session_ended_at: datetime | None
    methods: list[str]
    aal: str
    hold: str | None
    has_profile: bool = True


# In the order of the attributes, of `members AS member` and `member_sessions AS known`.
COLUMNS = """
    member.status, member.role, member.second_factor, member.requires_second_factor,
    ARRAY(
        SELECT permission FROM permission_grants AS given
        WHERE given.subject_id = member.identity_id
            AND given.revoked_at IS NULL AND given.expired_at IS NULL
            AND (given.expires_at IS NULL OR given.expires_at > %(now)s)
    ),
    ARRAY(SELECT lowest_role || ' ' || name FROM permissions WHERE lowest_role IS NOT NULL),
    known.started_at, known.authenticated_at, known.last_activity_at, known.expires_at,
    known.ended_at, known.methods, known.aal, known.hold
"""
_READ = f"""
SELECT {COLUMNS}, EXISTS (SELECT FROM profiles WHERE profiles.identity_id = member.identity_id)
FROM members AS member
LEFT JOIN member_sessions AS known
    ON known.session_id = %(session_id)s AND known.identity_id = member.identity_id
WHERE member.identity_id = %(identity_id)s
"""  # noqa: S608 - put together from constants


def read(
    statements: Statements, session_id: UUID, identity_id: UUID, *, now: datetime
) -> Holder | None:
    """Return a member with one of its sessions; None: there is no such member."""
    values = {"session_id": session_id, "identity_id": identity_id, "now": now}
    row = statements.read(_READ, values)
    return None if row is None else Holder._make(row)
