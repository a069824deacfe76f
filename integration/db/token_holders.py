"""Whom tokens are for: a session with its member and permissions, as parts of a statement."""

from datetime import datetime
from typing import NamedTuple


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


class Bounds(NamedTuple):
    """What a session must keep to, at one moment.

    Attributes:
        begun_after: A session as old as this is over.
        used_after: So is one that was last used then.
        second_factor_roles: Whose members need a second factor.
    """

    begun_after: datetime
    used_after: datetime
    second_factor_roles: list[str]


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
# Nothing speaks against a member and its session: what `policies.login`, `policies.sessions` and
# `policies.step_up` let through, and never more.
IS_GOOD = """
    member.status = 'active'
    AND known.ended_at IS NULL AND known.hold IS NULL AND known.expires_at > %(now)s
    AND known.started_at > %(begun_after)s
    AND known.last_activity_at > %(used_after)s
    AND (known.aal = 'aal2' OR NOT (
        member.second_factor OR member.requires_second_factor
        OR member.role = ANY (%(second_factor_roles)s::text[])
    ))
"""
