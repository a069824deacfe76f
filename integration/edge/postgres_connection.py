"""One connection to PostgreSQL, over which single statements go, one at a time.

psycopg's cursors can do anything; for each statement they make a dozen objects, take two locks and
tell the event loop anew what to wait for. What the edge asks is prepared once and named from then
on, and the loop is told of the socket when it opens. Types are psycopg's own in both directions.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""By number (`%s`), or by name (`%(name)s`)."""

_PLACE = re.compile(r"%s|%\((\w+)\)s")
# The edge has some fifty statements, a few of them with values of several types.
_MOST_PREPARED = 200
_GOOD = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class PostgresConnection:
    """Asks; who stops waiting leaves the statement to its end, and the connection busy till then.

    Attributes:
        is_busy: A statement is under way.
        opened_at, used_at: By the monotonic clock.
    """

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        # It remembers how types are written and read. The connection changes neither.
        self._transformer = Transformer(connection)
        self._prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._is_open, self.is_busy, self._is_writing = True, False, False
        self._answer: asyncio.Future[pq.abc.PGresult] | None = None
        self._result: pq.abc.PGresult | None = None
        self._idle: asyncio.Future[None] | None = None
        self.opened_at = self.used_at = time.monotonic()
        self._loop.add_reader(self._socket, self._readable)

    @property
    def is_open(self) -> bool:
        """Whether it may be asked, now or once it is not busy any more."""
        return self._is_open

    async def ask(self, statement: str, values: Values) -> list[Row]:
        """Return the rows of a statement; none of one that has no rows.

        Raises:
            psycopg.Error: it was refused, or the connection is broken; `is_open` tells.
        """
        text, names = _numbered(statement)
        given = _in_order(values, names)
        transformer = self._transformer
        dumped = transformer.dump_sequence(given, [PyFormat.AUTO] * len(given))
        types, formats = transformer.types or (), transformer.formats
        name = self._prepared.get((text, types))
        if name is None and len(self._prepared) < _MOST_PREPARED:
            name = b"edge%d" % len(self._prepared)
            await self._answered(self._pgconn.send_prepare, name, text, types)
            self._prepared[text, types] = name
        if name is None:
            sent = self._answered(self._pgconn.send_query_params, text, dumped, types, formats)
        else:
            sent = self._answered(self._pgconn.send_query_prepared, name, dumped, formats)
        result = await sent
        transformer.set_pgresult(result)
        rows = transformer.load_rows(0, result.ntuples, tuple)
        transformer.set_pgresult(None)
        return rows

    async def until_idle(self) -> None:
        """Return once what was asked has ended, or the connection broke."""
        if self.is_busy:
            self._idle = self._loop.create_future()
            await self._idle

    def close(self) -> None:
        self._break(psycopg.OperationalError("the connection was closed"))

    async def _answered(self, send: Callable[..., None], *given: Any) -> pq.abc.PGresult:
        """Hand a statement over, and return how it ended."""
        try:
            send(*given)
        except psycopg.Error as error:
            self._break(error)
            raise
        answer: asyncio.Future[pq.abc.PGresult] = self._loop.create_future()
        self._answer, self.is_busy = answer, True
        self._flush()
        return await answer

    def _flush(self) -> None:
        try:
            is_left = self._pgconn.flush() != 0
        except psycopg.Error as error:
            self._break(error)
            return
        if is_left != self._is_writing:
            self._is_writing = is_left
            if is_left:
                self._loop.add_writer(self._socket, self._flush)
            else:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
            if self._is_writing:
                # With TLS, writing may have waited for reading.
                self._flush()
            while self.is_busy and not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._ended()
                else:
                    self._result = result
        except psycopg.Error as error:
            self._break(error)

    def _ended(self) -> None:
        answer, result = self._answer, self._result
        self._answer = self._result = None
        self._rest()
        if answer is None or answer.done():
            return
        if result is not None and result.status in _GOOD:
            answer.set_result(result)
        elif result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            answer.set_exception(psycopg.errors.error_from_result(result))
        else:
            answer.set_exception(psycopg.InterfaceError("no answer to a statement"))

    def _rest(self) -> None:
        self.is_busy = False
        self.used_at = time.monotonic()
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _break(self, error: psycopg.Error) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket)
        if self._is_writing:
            self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        answer, self._answer = self._answer, None
        self._rest()
        if answer is not None and not answer.done():
            answer.set_exception(error)


def _in_order(values: Values, names: tuple[str, ...] | None) -> Sequence[Any]:
    if isinstance(values, Mapping):
        return [values[name] for name in names or ()]
    return values


@lru_cache(512)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...] | None]:
    """Return a statement with `$1`, `$2`, …, and the names in that order; None: by number."""
    names: list[str] = []
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        name = found[1]
        if name is None:
            count += 1
            return f"${count}"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    text = _PLACE.sub(place, statement).encode()
    return text, tuple(names) if names else None
