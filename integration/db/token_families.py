"""Queries on token families."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.session_tables import MemberSession
from integration.db.tables import Member
from integration.db.token_tables import DpopProof, TokenFamily


class LockedFamily(NamedTuple):
    """A family with its session and member; what these do not have is None."""

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
    session_ended_at: datetime | None
    session_expires_at: datetime
    authenticated_at: datetime
    methods: list[str]
    aal: str
    hold: str | None
    status: str | None
    role: str
    has_second_factor: bool
    requires_second_factor: bool


_OF_REFRESH = (
    select(
        TokenFamily.session_id,
        TokenFamily.identity_id,
        TokenFamily.application,
        TokenFamily.generation,
        TokenFamily.current_hash,
        TokenFamily.previous_hash,
        TokenFamily.client_hash,
        TokenFamily.jkt,
        TokenFamily.created_at,
        TokenFamily.rotated_at,
        TokenFamily.expires_at,
        TokenFamily.ended_at,
        MemberSession.ended_at,
        MemberSession.expires_at,
        MemberSession.authenticated_at,
        MemberSession.methods,
        MemberSession.aal,
        MemberSession.hold,
        Member.status,
        Member.role,
        Member.second_factor,
        Member.requires_second_factor,
    )
    .outerjoin(MemberSession, MemberSession.session_id == TokenFamily.session_id)
    .outerjoin(Member, Member.identity_id == TokenFamily.identity_id)
    .with_for_update(of=TokenFamily)
)


# Plain SQL: the mapper would look for rows it knows, and this is the one statement that is run
# for every member every quarter of an hour.
_ROTATE = text(
    """
    UPDATE token_families
    SET generation = :generation, current_hash = :new_hash, previous_hash = :old_hash,
        client_hash = :client_hash, rotated_at = :now, expires_at = :expires_at
    WHERE id = :family_id
    """
)


def lock(session: Session, family_id: UUID) -> LockedFamily | None:
    """Return a family with its session and member, one statement by primary key, and hold the
    family's row until the transaction ends."""
    row = session.execute(_OF_REFRESH.where(TokenFamily.id == family_id)).one_or_none()
    return None if row is None else LockedFamily._make(row)


def rotate(
    session: Session,
    family_id: UUID,
    *,
    generation: int,
    new_hash: bytes,
    old_hash: bytes,
    client_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Put the successor in the current token's place. The caller holds the row."""
    session.execute(
        _ROTATE,
        {
            "family_id": family_id,
            "generation": generation,
            "new_hash": new_hash,
            "old_hash": old_hash,
            "client_hash": client_hash,
            "now": now,
            "expires_at": expires_at,
        },
    )


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
