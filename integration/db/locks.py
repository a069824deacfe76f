"""Advisory locks around what is written to Kratos and Keto.

Kratos' writes are not atomic between writers, so the edge, delivery and the reconciler take the
lock of an identity; a hook never does, for the edge may be waiting for it (docs/architecture.md).
Keto reads nothing before it writes and deadlocks with itself, so there is one writer of tuples at a
time, the edge among them. Whoever needs both takes the identity's first.

A lock belongs to a connection, not to a transaction: nothing is open while Ory is called.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from integration.errors import BusyError

# The edge takes the same names with the same expression (integration/edge/identity_lock.py).
KEY = "hashtextextended(:name, 0)"
TUPLES = "keto:tuples"
ADMINS = "members:admins"


@contextmanager
def identity_lock(engine: Engine, identity_id: UUID, *, timeout: timedelta) -> Iterator[None]:
    """Hold the lock of one identity.

    Raises:
        BusyError: another writer held it for longer than `timeout`.
    """
    with _held(
        engine, f"identity:{identity_id}", timeout, "Somebody else is changing this account."
    ):
        yield


@contextmanager
def tuple_lock(engine: Engine, *, timeout: timedelta) -> Iterator[None]:
    """Be the one writer of Keto's tuples.

    Raises:
        BusyError: another writer held it for longer than `timeout`.
    """
    with _held(engine, TUPLES, timeout, "Somebody else is writing permissions."):
        yield


def hold_admins(session: Session) -> None:
    """Let nobody else change who is an active admin until the transaction ends; to be called before
    any member's row is held.

    Two admins who shut each other out at the same time would leave none. Nothing else is waited
    for while it is held but rows.
    """
    session.execute(text(f"select pg_advisory_xact_lock({KEY})"), {"name": ADMINS})


@contextmanager
def _held(engine: Engine, name: str, timeout: timedelta, busy: str) -> Iterator[None]:
    # 0 would wait for ever.
    milliseconds = max(1, int(timeout.total_seconds() * 1000))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"set lock_timeout = {milliseconds}"))
        try:
            connection.execute(text(f"select pg_advisory_lock({KEY})"), {"name": name})
        except OperationalError as error:
            connection.invalidate()
            raise BusyError(busy, detail=repr(error.orig)) from error
        try:
            yield
        finally:
            connection.execute(text(f"select pg_advisory_unlock({KEY})"), {"name": name})
