"""Statements that are each a transaction of their own: for the few paths where round trips count.

No ORM and no BEGIN, on connections of their own; the server prepares what is run often. Whatever
needs two statements to hold together belongs into `sessions.transaction`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

Row = tuple[Any, ...]
Values = Mapping[str, Any]

# What a server says that ends a connection: an administrator's command.
_ENDED_BY_SERVER = "57P01"


class Statements:
    """Runs them. Connects at the first one."""

    def __init__(self, database_url: str, *, timeout: timedelta, pool_size: int) -> None:
        """Args:
        timeout: Longest wait for a connection, for a lock and for a statement.
        pool_size: Connections at most; none is kept that was not used for ten minutes.
        """
        seconds = timeout.total_seconds()
        milliseconds = int(seconds * 1000)
        self._pool = ConnectionPool(
            database_url,
            kwargs={
                "autocommit": True,
                "connect_timeout": max(2, int(seconds)),
                "options": f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds}"
                " -c timezone=UTC",
            },
            min_size=0,
            max_size=pool_size,
            open=False,
            timeout=seconds,
        )

    def close(self) -> None:
        self._pool.close()

    def read(self, statement: LiteralString, values: Values) -> Row | None:
        """Return the first row of what may safely run twice, or None.

        Raises:
            psycopg.Error: the database does not answer, or not in time.
        """
        try:
            return self.write(statement, values)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if isinstance(error, PoolTimeout) or error.sqlstate not in (None, _ENDED_BY_SERVER):
                raise
            # PostgreSQL was restarted: of the kept connections none may be alive.
            self._pool.check()
            return self.write(statement, values)

    def write(self, statement: LiteralString, values: Values) -> Row | None:
        """Run a statement once and return the first row, or None. It is committed then.

        Raises:
            psycopg.Error: as `read`; it may have been committed all the same.
        """
        self._pool.open()
        # Not `with`, which would look for a transaction to end: there is none.
        connection = self._pool.getconn()
        try:
            return connection.execute(statement, values, prepare=True, binary=True).fetchone()
        finally:
            self._pool.putconn(connection)
