"""How a family of tokens begins: in one statement, a transaction of its own.

`begin` begins what nothing speaks against, and tells how all was before.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from integration.db.statements import Statements
from integration.db.token_holders import COLUMNS, IS_GOOD, Bounds, Holder


class Beginning(NamedTuple):
    """A new family of a session, and the session as Kratos just showed it.

    Attributes:
        jkt, proof_id: Of the proof that binds it, with the key's thumbprint; None: unbound.
        authenticated_at: None: our row knows.
    """

    family_id: UUID
    session_id: UUID
    identity_id: UUID
    application: str
    current_hash: bytes
    client_hash: bytes
    jkt: str | None
    proof_id: bytes | None
    proof_expires_at: datetime | None
    now: datetime
    expires_at: datetime
    authenticated_at: datetime | None
    methods: list[str]
    aal: str


class Begun(NamedTuple):
    """What became of it.

    Attributes:
        holder: The member with its session, as Kratos shows that.
        is_good: Nothing spoke against the two.
        is_session_alive: It had not ended, nor did it meanwhile.
        has_begun: The family did. Not so when its proof was used before.
    """

    holder: Holder
    is_good: bool
    is_session_alive: bool
    has_begun: bool


# Our row of the session may be older than its last proof: what Kratos shows takes its place.
_BEGIN = f"""
WITH known AS MATERIALIZED (
    SELECT session_id, identity_id, started_at,
        coalesce(%(authenticated_at)s, authenticated_at) AS authenticated_at,
        last_activity_at, expires_at, ended_at, %(methods)s::text[] AS methods,
        %(aal)s::text AS aal, hold
    FROM member_sessions WHERE session_id = %(session_id)s AND identity_id = %(identity_id)s
), seen AS MATERIALIZED (
    SELECT {COLUMNS}, profile.identity_id IS NOT NULL AS has_profile,
        profile.identity_id IS NOT NULL AND coalesce({IS_GOOD}, false) AS is_good
    FROM members AS member
    LEFT JOIN known ON known.identity_id = member.identity_id
    LEFT JOIN profiles AS profile ON profile.identity_id = member.identity_id
    WHERE member.identity_id = %(identity_id)s
), proof AS (
    INSERT INTO dpop_proofs (id, expires_at)
    SELECT %(proof_id)s::bytea, %(proof_expires_at)s::timestamptz
    FROM seen WHERE %(proof_id)s::bytea IS NOT NULL AND is_good
    ON CONFLICT DO NOTHING RETURNING id
), held AS (
    UPDATE member_sessions AS own
    SET authenticated_at = seen.authenticated_at, methods = seen.methods, aal = seen.aal,
        last_activity_at = greatest(own.last_activity_at, %(now)s),
        activity_count = activity_count + 1
    FROM seen
    WHERE seen.is_good AND own.session_id = %(session_id)s AND own.ended_at IS NULL
    RETURNING own.session_id, own.identity_id
), begun AS (
    INSERT INTO token_families (id, session_id, identity_id, application, generation,
        current_hash, client_hash, jkt, created_at, expires_at)
    SELECT %(family_id)s, session_id, identity_id, %(application)s, 0,
        %(current_hash)s, %(client_hash)s, %(jkt)s, %(now)s, %(expires_at)s
    FROM held WHERE %(proof_id)s::bytea IS NULL OR EXISTS (SELECT FROM proof)
    RETURNING id
)
SELECT seen.*, EXISTS (SELECT FROM held), EXISTS (SELECT FROM begun) FROM seen
"""  # noqa: S608 - put together from constants
_HOLDER = len(Holder._fields)


def begin(statements: Statements, new: Beginning, bounds: Bounds) -> Begun | None:
    """Begin a family, if nothing speaks against its member and session.

    Returns:
        None: there is no such member.
    """
    row = statements.write(_BEGIN, new._asdict() | bounds._asdict())
    return None if row is None else Begun(Holder(*row[:_HOLDER]), *row[_HOLDER:])
