"""Queries on signing keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from integration.db.token_tables import SigningKey

_LOCK = 4_455_000_003


def lock(session: Session) -> None:
    """Let one process at a time make or retire keys, until the transaction ends."""
    session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def published(session: Session, *, now: datetime, overlap: timedelta) -> Sequence[SigningKey]:
    """Return the keys that verifiers have to know, the one that signs last first.

    Args:
        overlap: How long after it was retired a key may still have tokens in use.
    """
    return session.scalars(
        select(SigningKey)
        .where(
            SigningKey.withdrawn_at.is_(None),
            or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > now - overlap),
        )
        .order_by(SigningKey.active_from.desc(), SigningKey.kid)
    ).all()


def everything(session: Session) -> Sequence[SigningKey]:
    """Return all keys there ever were, the oldest first."""
    return session.scalars(select(SigningKey).order_by(SigningKey.created_at)).all()
