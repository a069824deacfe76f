"""Where connections come from, and where transactions begin and end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

SessionFactory: TypeAlias = sessionmaker[Session]
Ring: TypeAlias = Callable[[Sequence[UUID]], None]
Bell: TypeAlias = Callable[[], None]

_ADDED = "effects added"
_MOVED = "epochs moved"


def make_engine(database_url: str, *, timeout: timedelta, pool_size: int = 10) -> Engine:
    """Return an engine whose every wait is bounded by `timeout`.

    Args:
        database_url: `postgresql://…`, as libpq reads it.
        timeout: Longest wait for a pooled connection, for a lock and for a statement.
        pool_size: Connections kept; twice as many are opened under load.
    """
    seconds = timeout.total_seconds()
    milliseconds = int(seconds * 1000)
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=seconds,
        pool_pre_ping=True,
        # Values of a failed statement are traits, tokens and codes: not for a log.
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(2, int(seconds)),
            "options": f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds}"
            " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
        },
    )


def make_session_factory(engine: Engine) -> SessionFactory:
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(
    session_factory: SessionFactory, ring: Ring | None = None, bell: Bell | None = None
) -> Iterator[Session]:
    """Open one transaction; commit at the end, roll back on any exception.

    Args:
        ring: Told the ids of the effects that this transaction added, after it is committed.
            It is a hint that makes them start at once; the relay finds them without it.
        bell: Called after a commit that moved epochs, a hint too.
    """
    with session_factory() as session:
        with session.begin():
            yield session
        added = tuple(session.info.pop(_ADDED, ()))
        moved = session.info.pop(_MOVED, ())
    if moved and bell is not None:
        bell()
    if added and ring is not None:
        ring(added)


def remember_effect(session: Session, effect_id: UUID) -> None:
    """Note that this transaction added an effect, for `transaction` to ring for it."""
    session.info.setdefault(_ADDED, []).append(effect_id)


def remember_moved(session: Session, subject_id: UUID) -> None:
    """Note that this transaction moved an epoch, for `transaction` to ring the bell."""
    session.info.setdefault(_MOVED, []).append(subject_id)
