"""The edge's own way of asking PostgreSQL: what comes back, and what becomes of a connection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from integration.edge.database import Database
from integration.edge.postgres_connection import PostgresConnection
from integration.edge.postgres_pool import PoolBusyError, PostgresPool
from integration.edge.problems import RefusedError
from tests.edge_postgres import Server

_MY_PID = "SELECT pg_backend_pid()"
_END = "SELECT pg_terminate_backend(%s)"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("postgres") / "home")
    yield running
    running.stop()


def with_pool(url: str, work: Callable[[PostgresPool], Awaitable[None]], *, most: int = 2) -> None:
    """Run `work` with a pool of two connections."""

    async def run() -> None:
        async def connect() -> psycopg.AsyncConnection:
            return await psycopg.AsyncConnection.connect(url, autocommit=True)

        pool = PostgresPool(connect, most=most)
        try:
            await work(pool)
        finally:
            await pool.close()

    asyncio.run(run())


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


def test_values_and_rows_are_of_the_types_psycopg_gives_them(database_url):
    moment = datetime.now(UTC)
    values = [uuid4(), moment, timedelta(days=2), ["a", "b"], None, True, 7, 2**40, "ü", b"\0\1"]

    async def work(pool: PostgresPool) -> None:
        statement = """SELECT %s::uuid, %s::timestamptz, %s::interval, %s::text[], %s::text,
            %s::bool, %s::int, %s::bigint, %s::text, %s::bytea"""
        for _ in range(3):
            assert await pool.ask(statement, values) == [tuple(values)]
        assert await pool.ask("SELECT %s", (Jsonb({"a": [1]}),)) == [({"a": [1]},)]

    with_pool(database_url, work)


def test_a_value_is_named_as_often_as_one_likes(database_url):
    async def work(pool: PostgresPool) -> None:
        statement = "SELECT %(b)s::int, %(a)s::text, %(b)s::int"
        assert await pool.ask(statement, {"a": "x", "b": 1}) == [(1, "x", 1)]
        # Of other types it is another statement to PostgreSQL.
        assert await pool.ask(statement, {"a": None, "b": 2**40 - 2**40}) == [(0, None, 0)]

    with_pool(database_url, work)


def test_a_statement_without_rows_gives_none_and_is_committed(database_url):
    async def work(pool: PostgresPool) -> None:
        name = f"made_{uuid4().hex}"
        assert await pool.ask(f"CREATE TABLE {name} (one int)", ()) == []
        assert await pool.ask(f"INSERT INTO {name} VALUES (%s)", (1,)) == []
        with psycopg.connect(database_url) as other:
            assert other.execute(f"SELECT * FROM {name}").fetchall() == [(1,)]

    with_pool(database_url, work)


def test_what_is_refused_is_said_and_the_connection_goes_on(database_url):
    async def work(pool: PostgresPool) -> None:
        [(pid,)] = await pool.ask(_MY_PID, ())
        for statement in ("SELECT nothing", "SELECT 1 / %s::int"):
            with pytest.raises((psycopg.errors.UndefinedColumn, psycopg.errors.DivisionByZero)):
                await pool.ask(statement, (0,) if "%s" in statement else ())
        assert await pool.ask(_MY_PID, ()) == [(pid,)]

    with_pool(database_url, work)


def test_what_is_large_arrives_both_ways(database_url):
    text = "x" * 5_000_000

    async def work(pool: PostgresPool) -> None:
        assert await pool.ask("SELECT %s::text, length(%s::text)", (text, text)) == [
            (text, len(text))
        ]

    with_pool(database_url, work)


def test_the_connection_used_last_is_used_next(database_url):
    async def work(pool: PostgresPool) -> None:
        slow = pool.ask("SELECT pg_backend_pid(), pg_sleep(0.2)", ())
        slow_rows, [(quick,)] = await asyncio.gather(slow, pool.ask(_MY_PID, ()))
        assert slow_rows[0][0] != quick
        assert [await pool.ask(_MY_PID, ()) for _ in range(3)] == [[(slow_rows[0][0],)]] * 3

    with_pool(database_url, work)


def test_more_than_there_are_connections_wait_their_turn(database_url):
    async def work(pool: PostgresPool) -> None:
        asked = [pool.ask("SELECT pg_backend_pid(), %s::int", (n,)) for n in range(40)]
        rows = [answer[0] for answer in await asyncio.gather(*asked)]
        assert [row[1] for row in rows] == list(range(40))
        assert len({row[0] for row in rows}) <= 2

    with_pool(database_url, work)


def test_who_waits_for_long_is_refused(database_url):
    async def work(pool: PostgresPool) -> None:
        slow = asyncio.create_task(pool.ask("SELECT pg_sleep(1.5)", ()))
        await asyncio.sleep(0)
        with pytest.raises(PoolBusyError):
            await pool.ask("SELECT 1", ())
        await slow
        assert await pool.ask("SELECT 1", ()) == [(1,)]

    with_pool(database_url, work, most=1)


def test_a_statement_goes_on_without_who_asked_and_its_connection_comes_back(database_url):
    async def work(pool: PostgresPool) -> None:
        [(pid,)] = await pool.ask(_MY_PID, ())
        name = f"made_{uuid4().hex}"
        statement = f"CREATE TABLE {name} AS SELECT pg_sleep(0.3)::text"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.ask(statement, ())
        # There is but this one, and it is taken until then.
        assert await pool.ask(_MY_PID, ()) == [(pid,)]
        assert await pool.ask("SELECT to_regclass(%s) IS NOT NULL", (name,)) == [(True,)]

    with_pool(database_url, work, most=1)


@asynccontextmanager
async def database(settings, url: str):
    """Run the edge's statements at another server; PostgreSQL has a second for each."""
    secret = type("Url", (), {"get_secret_value": lambda _self: url})()
    changed = {"database_url": secret, "database_timeout": timedelta(seconds=1)}
    made = Database(settings.model_copy(update=changed))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def test_a_connection_that_the_server_ended_is_not_asked_again(services, database_url):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            pid = await ours.row(_MY_PID, ())
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute(_END, pid)
            after = await ours.row(_MY_PID, ())
            assert after is not None
            assert after != pid

    asyncio.run(run())


def test_a_connection_that_ends_below_a_statement_is_replaced_and_it_runs_again(
    services, database_url
):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            pid = await ours.row(_MY_PID, ())
            slow = asyncio.create_task(ours.row("SELECT pg_backend_pid(), pg_sleep(0.4)", ()))
            with psycopg.connect(database_url, autocommit=True) as other:
                await until(lambda: _is_active(other, pid))
                other.execute(_END, pid)
            again = await slow
            assert again is not None
            assert again[0] != pid[0]

    async def _is_active(other, pid) -> bool:
        found = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", pid)
        return found.fetchone() == ("active",)

    asyncio.run(run())


def test_a_server_that_hangs_is_given_up_in_time_and_asked_again_when_it_goes_on(services, server):
    async def run() -> None:
        async with database(services.settings, server.url) as ours:
            assert await ours.row("SELECT 1", ()) == (1,)
            server.pause()
            try:
                started = asyncio.get_running_loop().time()
                with pytest.raises(RefusedError):
                    await ours.row("SELECT 1", ())
                assert asyncio.get_running_loop().time() - started < 2
            finally:
                server.go_on()

            async def answers() -> bool:
                try:
                    return await ours.row("SELECT 1", ()) == (1,)
                except RefusedError:
                    return False

            await until(answers)

    asyncio.run(run())


def test_a_closed_connection_answers_nobody(database_url):
    async def run() -> None:
        made = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
        connection = PostgresConnection(made)
        asked = asyncio.create_task(connection.ask("SELECT pg_sleep(5)", ()))
        await asyncio.sleep(0)
        connection.close()
        with pytest.raises(psycopg.OperationalError):
            await asked
        assert not connection.is_open
        with pytest.raises(psycopg.OperationalError):
            await connection.ask("SELECT 1", ())

    asyncio.run(run())
