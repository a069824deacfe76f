"""How the edge asks PostgreSQL: what comes back, and what becomes of a connection."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integration.edge.database import Database
from integration.edge.postgres_pool import PoolBusyError, PostgresPool
from integration.edge.problems import RefusedError
from tests.edge_postgres import Server

_MY_PID = "SELECT pg_backend_pid()"
_END = "SELECT pg_terminate_backend(%s)"
_STATE = "SELECT state FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("postgres") / "home")
    yield running
    running.stop()


def with_pool(url: str, work: Callable[[PostgresPool], Awaitable[None]], *, most: int = 2) -> None:
    """Run `work` with a pool of two connections."""

    async def run() -> None:
        pool = PostgresPool(lambda seconds: asyncpg.connect(url, timeout=seconds), most=most)
        try:
            await work(pool)
        finally:
            pool.close()

    asyncio.run(run())


async def ask(pool: PostgresPool, statement: str) -> list:
    kept = await pool.take(2.0)
    try:
        return [tuple(row) for row in await kept.connection.fetch(statement)]
    finally:
        pool.give_back(kept)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


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


async def answers(ours: Database) -> bool:
    try:
        return await ours.row("SELECT 1", ()) == (1,)
    except RefusedError:
        return False


# Values


def test_values_and_rows_are_of_the_types_that_callers_have(services, database_url):
    moment = datetime.now(UTC)
    values = [uuid4(), moment, timedelta(days=2), ["a", "b"], None, True, 7, 2**40, "ü", b"\0\1"]
    statement = """SELECT %s::uuid, %s::timestamptz, %s::interval, %s::text[], %s::text,
        %s::bool, %s::int, %s::bigint, %s::text, %s::bytea"""

    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            for _ in range(3):
                assert await ours.rows(statement, values) == [tuple(values)]
            document = await ours.row("SELECT %s::jsonb", (json.dumps({"a": [1]}),))
            assert document is not None
            assert json.loads(document[0]) == {"a": [1]}

    asyncio.run(run())


def test_a_statement_without_rows_gives_none_and_is_committed(services, database_url):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            name = f"made_{uuid4().hex}"
            assert await ours.rows(f"CREATE TABLE {name} (one int)", ()) == []
            await ours.execute(f"INSERT INTO {name} VALUES (%s)", (1,))
            with psycopg.connect(database_url) as other:
                assert other.execute(f"SELECT * FROM {name}").fetchall() == [(1,)]

    asyncio.run(run())


def test_a_statement_outlives_a_change_of_the_tables_it_was_prepared_for(services, database_url):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            name = f"made_{uuid4().hex}"
            await ours.execute(f"CREATE TABLE {name} AS SELECT 1 AS one", ())
            assert await ours.rows(f"SELECT * FROM {name}", ()) == [(1,)]
            with psycopg.connect(database_url) as other:
                other.execute(f"ALTER TABLE {name} ADD COLUMN two int DEFAULT 2")
            assert await ours.rows(f"SELECT * FROM {name}", ()) == [(1, 2)]

    asyncio.run(run())


def test_what_nobody_can_answer_is_refused_and_the_connections_stay(services, database_url):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            pid = await ours.row(_MY_PID, ())
            for statement, values in (
                ("SELECT nothing", ()),
                ("SELECT 1 / %s::int", (0,)),
                ("SELECT %s::uuid", ("no uuid",)),
                ("SELECT %s::text", ("\ud800",)),
                ("SELECT %s::text", ("\0",)),
            ):
                with pytest.raises(RefusedError):
                    await ours.row(statement, values)
                assert await ours.row(_MY_PID, ()) == pid

    asyncio.run(run())


# Connections


def test_the_connection_used_last_is_used_next(database_url):
    async def work(pool: PostgresPool) -> None:
        slow = ask(pool, "SELECT pg_backend_pid(), pg_sleep(0.2)")
        slow_rows, [(quick,)] = await asyncio.gather(slow, ask(pool, _MY_PID))
        assert slow_rows[0][0] != quick
        assert [await ask(pool, _MY_PID) for _ in range(3)] == [[(slow_rows[0][0],)]] * 3

    with_pool(database_url, work)


def test_more_than_there_are_connections_wait_their_turn(database_url):
    async def work(pool: PostgresPool) -> None:
        asked = [ask(pool, f"SELECT pg_backend_pid(), {n}") for n in range(40)]
        rows = [answer[0] for answer in await asyncio.gather(*asked)]
        assert [row[1] for row in rows] == list(range(40))
        assert len({row[0] for row in rows}) <= 2

    with_pool(database_url, work)


def test_who_waits_for_long_is_refused(database_url):
    async def work(pool: PostgresPool) -> None:
        slow = asyncio.create_task(ask(pool, "SELECT pg_sleep(1.5)"))
        await asyncio.sleep(0)
        with pytest.raises(PoolBusyError):
            await ask(pool, "SELECT 1")
        await slow
        assert await ask(pool, "SELECT 1") == [(1,)]

    with_pool(database_url, work, most=1)


def test_too_many_who_wait_are_refused_at_once(database_url):
    async def work(pool: PostgresPool) -> None:
        slow = asyncio.create_task(ask(pool, "SELECT pg_sleep(0.3)"))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(ask(pool, "SELECT 1")) for _ in range(256)]
        await asyncio.sleep(0)
        with pytest.raises(PoolBusyError):
            await ask(pool, "SELECT 1")
        assert not slow.done()
        assert await asyncio.gather(*waiting) == [[(1,)]] * 256

    with_pool(database_url, work, most=1)


def test_no_place_is_lost_by_connections_that_could_not_be_opened():
    async def work(pool: PostgresPool) -> None:
        for _ in range(3):
            with pytest.raises(OSError, match="Connect call failed"):
                await ask(pool, "SELECT 1")

    with_pool("postgresql://kleis@127.0.0.1:1/kleis", work)


def test_a_statement_goes_on_without_who_asked(services, database_url):
    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            pid = await ours.row(_MY_PID, ())
            name = f"made_{uuid4().hex}"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ours.execute(f"CREATE TABLE {name} AS SELECT pg_sleep(0.3)::text", ())

            async def is_made() -> bool:
                return await ours.row("SELECT to_regclass(%s::text) IS NOT NULL", (name,)) == (
                    True,
                )

            await until(is_made)
            assert pid is not None

    asyncio.run(run())


def test_what_was_begun_ends_before_the_edge_does(services, database_url):
    name = f"made_{uuid4().hex}"

    async def run() -> None:
        async with database(services.settings, database_url) as ours:
            statement = f"CREATE TABLE {name} AS SELECT pg_sleep(0.3)::text"
            asked = asyncio.create_task(ours.execute(statement, ()))
            await asyncio.sleep(0.1)
            asked.cancel()
        with pytest.raises(RefusedError):
            await ours.row("SELECT 1", ())

    asyncio.run(run())
    with psycopg.connect(database_url) as other:
        assert other.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone() == (True,)


# A server that ends, hangs and returns


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

                async def is_under_way() -> bool:
                    return other.execute(_STATE, pid).fetchone() == ("active",)

                await until(is_under_way)
                other.execute(_END, pid)
            again = await slow
            assert again is not None
            assert again[0] != pid[0]

    asyncio.run(run())


def test_a_server_that_hangs_is_given_up_in_time_refused_at_once_and_found_again(services, server):
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with database(services.settings, server.url) as ours:
            assert await answers(ours)
            server.pause()
            try:
                started = loop.time()
                assert not await answers(ours)
                assert 1 < loop.time() - started < 2
                started = loop.time()
                assert not await answers(ours)
                assert loop.time() - started < 0.2
            finally:
                server.go_on()
            await until(lambda: answers(ours))

    asyncio.run(run())


def test_a_server_that_is_not_there_at_the_start_is_found_when_it_comes(services, server):
    async def run() -> None:
        server.kill()
        async with database(services.settings, server.url) as ours:
            assert not await answers(ours)
            await asyncio.to_thread(server.start)
            await until(lambda: answers(ours))

    asyncio.run(run())


# Addresses, each at the real server


class Front:
    """Listens in the server's place, with a certificate: the server that tests have cannot.

    Attributes:
        seen: Of each connection, whether it was encrypted.
    """

    def __init__(self, url: str, folder: Path) -> None:
        facts = psycopg.conninfo.conninfo_to_dict(url)
        self.facts = {name: str(value) for name, value in facts.items()}
        self.facts["folder"] = quote(self.facts["host"], safe="")
        self.seen: list[bool] = []
        self._serving: list[asyncio.Task] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*certified(folder))
        self.facts["ca"] = quote(str(folder / "certificate.pem"), safe="")

    @asynccontextmanager
    async def listening(self):
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with listener:
            self.facts["port"] = str(listener.sockets[0].getsockname()[1])
            yield
        await asyncio.gather(*self._serving)

    async def _serve(self, client, writer) -> None:
        self._serving.append(asyncio.current_task())
        path = f"{self.facts['host']}/.s.PGSQL.5432"
        server, onwards = await asyncio.open_unix_connection(path)
        with suppress(OSError, asyncio.IncompleteReadError):
            first = await client.readexactly(8)
            is_encrypted = first[4:] == _SSL_REQUEST
            self.seen.append(is_encrypted)
            if is_encrypted:
                writer.write(b"S")
                await writer.start_tls(self._tls)
            else:
                onwards.write(first)
            await asyncio.gather(_piped(client, onwards), _piped(server, writer))
        for each in (writer, onwards):
            each.close()
            with suppress(OSError):
                await each.wait_closed()


_SSL_REQUEST = (80877103).to_bytes(4)


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65536):
        writer.write(some)
    writer.close()


def certified(folder: Path) -> tuple[Path, Path]:
    """Make a key, and a certificate that it signed itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "postgres")])
    now = datetime.now(UTC)
    named = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(named, critical=False)
        .sign(key, hashes.SHA256())
    )
    shown = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(shown)
    return certificate, key_file


_NAMED = "postgresql://{user}:{password}@127.0.0.1"


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("postgresql://{user}:{password}@/{dbname}?host={folder}", []),
        ("postgresql://{user}:{password}@/{dbname}?host={folder}&sslmode=require", []),
        (_NAMED + ":{port}/{dbname}", [True]),
        (_NAMED + ":{port}/{dbname}?sslmode=disable", [False]),
        (_NAMED + ":{port}/{dbname}?sslmode=require", [True]),
        (_NAMED + ":{port}/{dbname}?sslmode=verify-full&sslrootcert={ca}", [True]),
        (_NAMED + "/?port={port}&dbname={dbname}&connect_timeout=1&keepalives=1", [True]),
        (_NAMED + ":1,127.0.0.1:{port}/{dbname}", [True]),
    ],
)
def test_an_address_leads_the_edge_where_it_leads_libpq(services, server, tmp_path, address, seen):
    front = Front(server.url, tmp_path)

    async def run() -> None:
        async with front.listening():
            url = address.format(**front.facts)
            async with await psycopg.AsyncConnection.connect(url) as plain:
                await plain.execute("SELECT 1")
            by_libpq, front.seen = front.seen, []
            async with database(services.settings, url) as ours:
                shown = "SELECT current_user, current_database()"
                assert await ours.row(shown, ()) == (front.facts["user"], front.facts["dbname"])
                assert await ours.row("SHOW statement_timeout", ()) == ("1s",)
            assert front.seen == by_libpq == seen

    asyncio.run(run())


@pytest.mark.parametrize(
    ("who", "asked"), [("password", "sslmode=verify-full"), ("dbname", "sslmode=disable")]
)
def test_an_unknown_certificate_or_a_wrong_password_is_no_connection(
    services, server, tmp_path, who, asked
):
    """The name of the database is not its password."""
    front = Front(server.url, tmp_path)
    address = f"postgresql://{{user}}:{{{who}}}@127.0.0.1:{{port}}/{{dbname}}?{asked}"

    async def run() -> None:
        async with (
            front.listening(),
            database(services.settings, address.format(**front.facts)) as ours,
        ):
            assert not await answers(ours)

    asyncio.run(run())
