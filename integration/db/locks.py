"""One advisory lock per identity, around everything that writes to Kratos.

Kratos' writes are not atomic between writers, so the edge, delivery and the reconciler take
this lock; a hook never does, for the edge may be waiting for it (docs/architecture.md).
It belongs to a connection, not to a transaction: nothing is open while Kratos is called.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from integration.errors import BusyError

# The edge uses the same expression (integration/edge/identity_lock.py).
KEY = "hashtextextended('identity:' || :id, 0)"


@contextmanager
def identity_lock(engine: Engine, identity_id: UUID, *, timeout: timedelta) -> Iterator[None]:
    """Hold the lock of one identity.

    Raises:
        BusyError: another writer held it for longer than `timeout`.
    """
    milliseconds = int(timeout.total_seconds() * 1000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"set lock_timeout = {milliseconds}"))
        try:
            connection.execute(text(f"select pg_advisory_lock({KEY})"), {"id": str(identity_id)})
        except OperationalError as error:
            connection.invalidate()
            raise BusyError(
                "Somebody else is changing this account.", detail=repr(error.orig)
            ) from error
        try:
            yield
        finally:
            connection.execute(text(f"select pg_advisory_unlock({KEY})"), {"id": str(identity_id)})
