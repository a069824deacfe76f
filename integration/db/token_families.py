"""Queries on token families: what is run for every refresh, and what for few.

A refresh is two statements, each a transaction of its own: `read`, and `rotate`, which does
nothing unless the family still is as it was read. What is not that simple holds the row: `lock`.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.statements import Row, Statements
from integration.db.token_holders import COLUMNS, Holder
from integration.db.token_tables import DpopProof, TokenFamily


class FamilyRow(NamedTuple):
    """A family, and whom it is for."""

    session_id: UUID
    identity_id: UUID
    application: str
    generation: int
    current_hash: bytes
    previous_hash: bytes | None
    client_hash: bytes
    jkt: str | None
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None
    holder: Holder


class Rotation(NamedTuple):
    """A successor in the current token's place.

    Attributes:
        generation: The successor's.
        unused_since: A session that was not used since then is noted as used now.
    """

    family_id: UUID
    generation: int
    new_hash: bytes
    old_hash: bytes
    client_hash: bytes
    now: datetime
    expires_at: datetime
    unused_since: datetime


class Beginning(NamedTuple):
    """A new family of a session, and the session as Kratos just showed it.

    Attributes:
        proof_id, jkt: Of the proof that binds it, with the key's thumbprint; None: unbound.
    """

    family_id: UUID
    session_id: UUID
    application: str
    current_hash: bytes
    client_hash: bytes
    jkt: str | None
    proof_id: bytes | None
    proof_expires_at: datetime | None
    now: datetime
    expires_at: datetime
    authenticated_at: datetime
    methods: list[str]
    aal: str


_READ = f"""
SELECT family.session_id, family.identity_id, family.application, family.generation,
    family.current_hash, family.previous_hash, family.client_hash, family.jkt,
    family.created_at, family.rotated_at, family.expires_at, family.ended_at, {COLUMNS}
FROM token_families AS family
LEFT JOIN member_sessions AS known ON known.session_id = family.session_id
LEFT JOIN members AS member ON member.identity_id = family.identity_id
WHERE family.id = %(family_id)s
"""  # noqa: S608 - put together from constants
_LOCK = f"{_READ} FOR UPDATE OF family"
ROTATE = """
WITH rotated AS (
    UPDATE token_families
    SET generation = %(generation)s, current_hash = %(new_hash)s, previous_hash = %(old_hash)s,
        client_hash = %(client_hash)s, rotated_at = %(now)s, expires_at = %(expires_at)s
    WHERE id = %(family_id)s AND generation = %(generation)s - 1
        AND current_hash = %(old_hash)s AND ended_at IS NULL
    RETURNING session_id
), used AS (
    UPDATE member_sessions AS known
    SET last_activity_at = %(now)s, activity_count = activity_count + 1
    FROM rotated
    WHERE known.session_id = rotated.session_id AND known.ended_at IS NULL
        AND known.last_activity_at <= %(unused_since)s
)
SELECT session_id FROM rotated
"""
_BEGIN = """
WITH proof AS (
    INSERT INTO dpop_proofs (id, expires_at)
    SELECT %(proof_id)s::bytea, %(proof_expires_at)s::timestamptz
    WHERE %(proof_id)s::bytea IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING id
), held AS (
    UPDATE member_sessions
    SET authenticated_at = %(authenticated_at)s, methods = %(methods)s, aal = %(aal)s,
        last_activity_at = greatest(last_activity_at, %(now)s),
        activity_count = activity_count + 1
    WHERE session_id = %(session_id)s AND ended_at IS NULL
    RETURNING session_id, identity_id
), begun AS (
    INSERT INTO token_families (id, session_id, identity_id, application, generation,
        current_hash, client_hash, jkt, created_at, expires_at)
    SELECT %(family_id)s, session_id, identity_id, %(application)s, 0,
        %(current_hash)s, %(client_hash)s, %(jkt)s, %(now)s, %(expires_at)s
    FROM held WHERE %(proof_id)s::bytea IS NULL OR EXISTS (SELECT FROM proof)
    RETURNING id
)
SELECT EXISTS (SELECT FROM held), EXISTS (SELECT FROM begun)
"""


class Begun(NamedTuple):
    """Whether the session still lived, and whether the family began."""

    is_session_alive: bool
    has_begun: bool


def read(statements: Statements, family_id: UUID, *, now: datetime) -> FamilyRow | None:
    """Return a family, one statement by primary key."""
    return _family(statements.read(_READ, {"family_id": family_id, "now": now}))


def lock(session: Session, family_id: UUID, *, now: datetime) -> FamilyRow | None:
    """Return a family as `read`, and hold its row until the transaction ends."""
    values = {"family_id": family_id, "now": now}
    return _family(session.connection().exec_driver_sql(_LOCK, values).one_or_none())


def _family(row: Row | None) -> FamilyRow | None:
    return None if row is None else FamilyRow._make((*row[:12], Holder._make(row[12:])))


def rotate(statements: Statements, rotation: Rotation) -> bool:
    """Put the successor in the current token's place, unless that is another one by now."""
    return statements.write(ROTATE, rotation._asdict()) is not None


def rotate_locked(session: Session, rotation: Rotation) -> None:
    """Put the successor in the current token's place. The caller holds the row."""
    session.connection().exec_driver_sql(ROTATE, rotation._asdict())


def begin(statements: Statements, new: Beginning) -> Begun:
    """Begin a family, unless its session has ended or its proof was used before."""
    row = statements.write(_BEGIN, new._asdict())
    return Begun(*row) if row else Begun(is_session_alive=False, has_begun=False)


def end(session: Session, family_id: UUID, *, reason: str, now: datetime) -> None:
    session.execute(
        update(TokenFamily)
        .where(TokenFamily.id == family_id, TokenFamily.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason)
    )


def others_live(session: Session, session_id: UUID, but: UUID, *, now: datetime) -> bool:
    """Tell whether a session has families that can still be used, besides one."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    TokenFamily.session_id == session_id,
                    TokenFamily.id != but,
                    TokenFamily.ended_at.is_(None),
                    TokenFamily.expires_at > now,
                )
            )
        )
    )


def use_proof(session: Session, proof_id: bytes, *, expires_at: datetime) -> bool:
    """Note that a proof of possession was used; False when it had been."""
    statement = (
        insert(DpopProof)
        .values(id=proof_id, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(DpopProof.id)
    )
    return session.scalar(statement) is not None


def forget_before(session: Session, now: datetime, *, lifetime: timedelta) -> None:
    """Delete families that ran out a day ago, and proofs that nobody would take again."""
    day = timedelta(days=1)
    session.execute(
        delete(TokenFamily).where(
            TokenFamily.created_at < now - lifetime, TokenFamily.expires_at < now - day
        )
    )
    session.execute(delete(DpopProof).where(DpopProof.expires_at < now - day))
