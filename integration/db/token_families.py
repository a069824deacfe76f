"""Queries on token families: what is run for every refresh, and what for few.

An ordinary refresh is one statement, a transaction of its own: `refresh` rotates what nothing
speaks against, and tells how all was before. What is not that simple holds the row: `lock`, and
`rotate_locked`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.retention import delete_oldest
from integration.db.statements import Statements
from integration.db.token_holders import COLUMNS, IS_GOOD, Bounds, Holder
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


_COLUMNS = f"""
    family.session_id, family.identity_id, family.application, family.generation,
    family.current_hash, family.previous_hash, family.client_hash, family.jkt,
    family.created_at, family.rotated_at, family.expires_at, family.ended_at, {COLUMNS}
"""
_FROM = """
FROM token_families AS family
LEFT JOIN member_sessions AS known ON known.session_id = family.session_id
LEFT JOIN members AS member ON member.identity_id = family.identity_id
WHERE family.id = %(family_id)s
"""
_LOCK = f"SELECT {_COLUMNS} {_FROM} FOR UPDATE OF family"
# Nothing speaks against it: what `policies.token_refresh` lets rotate, and less than that. Whatever
# else there is, it decides before anything changes.
_IS_ORDINARY = f"""
    family.jkt IS NULL AND family.client_hash = %(client_hash)s AND family.expires_at > %(now)s
    AND {IS_GOOD}
"""
_SET = """
    UPDATE token_families AS family
    SET generation = %(generation)s, current_hash = %(new_hash)s, previous_hash = %(old_hash)s,
        client_hash = %(client_hash)s, rotated_at = %(now)s, expires_at = %(expires_at)s
"""
_IS_CURRENT = """
    family.generation = %(generation)s - 1 AND family.current_hash = %(old_hash)s
    AND family.ended_at IS NULL
"""
_USED = """
used AS (
    UPDATE member_sessions AS known
    SET last_activity_at = %(now)s, activity_count = activity_count + 1
    WHERE (SELECT session_id FROM rotated) IS NOT NULL
        AND known.session_id = (SELECT session_id FROM rotated) AND known.ended_at IS NULL
        AND known.last_activity_at <= %(unused_since)s
)
"""
ROTATE = f"""
WITH rotated AS (
    {_SET} WHERE family.id = %(family_id)s AND {_IS_CURRENT} RETURNING session_id
), {_USED}
SELECT session_id FROM rotated
"""  # noqa: S608 - put together from constants
# By `ctid` the row that was seen is updated without being looked up again; whoever changed it in
# between has moved it, and then nothing is rotated.
_REFRESH = f"""
WITH seen AS MATERIALIZED (
    SELECT {_COLUMNS}, family.ctid AS place, {_IS_ORDINARY} AS is_ordinary {_FROM}
), rotated AS (
    {_SET} FROM seen WHERE family.ctid = seen.place AND {_IS_CURRENT} AND seen.is_ordinary
    RETURNING family.session_id
), {_USED}
SELECT seen.*, EXISTS (SELECT FROM rotated) FROM seen
"""  # noqa: S608 - put together from constants


def refresh(
    statements: Statements, rotation: Rotation, bounds: Bounds
) -> tuple[FamilyRow, bool] | None:
    """Put the successor in the current token's place if nothing speaks against it.

    May be run again: what it rotated the first time is not current any more.

    Returns:
        The family as it was, and whether it was rotated; None: there is no such family.
    """
    row = statements.read(_REFRESH, rotation._asdict() | bounds._asdict())
    return None if row is None else (_family_of(row), row[-1])


def lock(session: Session, family_id: UUID, *, now: datetime) -> FamilyRow | None:
    """Return a family as `read`, and hold its row until the transaction ends."""
    values = {"family_id": family_id, "now": now}
    row = session.connection().exec_driver_sql(_LOCK, values).one_or_none()
    return None if row is None else _family_of(row)


def _family_of(row: Sequence[Any]) -> FamilyRow:
    return FamilyRow._make((*row[:12], Holder(*row[12:26])))


def rotate_locked(session: Session, rotation: Rotation) -> None:
    """Put the successor in the current token's place. The caller holds the row."""
    session.connection().exec_driver_sql(ROTATE, rotation._asdict())


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


def forget_before(session: Session, now: datetime, *, lifetime: timedelta) -> int:
    """Delete the oldest families that ran out a day ago; return how many."""
    ran_out = TokenFamily.expires_at < now - timedelta(days=1)
    return delete_oldest(session, TokenFamily.created_at, now - lifetime, ran_out)


def forget_proofs_before(session: Session, before: datetime) -> int:
    """Delete proofs that nobody would take again; return how many."""
    return delete_oldest(session, DpopProof.expires_at, before)
