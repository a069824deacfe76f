"""The record of login attempts on a real PostgreSQL: in batches, once, and without losses."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from integration.db import login_attempts
from integration.db.migrations.upgrade import upgrade
from integration.edge.flows import attempt_log
from integration.edge.flows.attempt_log import AttemptLog
from integration.edge.flows.attempt_rows import write_batch
from integration.edge.flows.attempts import Attempt
from integration.edge.flows.submit_outcomes import Outcome
from integration.settings import Settings
from tests.edge_stage import ask, edge_running, settings_for, upstream_running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def url(postgres) -> str:
    made = postgres.new_database()
    upgrade(made)
    return made


@pytest.fixture
def database(url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE login_attempts, flows, members CASCADE")
        yield connection


@pytest.fixture
def settings(url, valkey_url) -> Settings:
    secret = "only-in-tests-and-long-enough"
    return Settings(
        database_url=url,
        valkey_url=valkey_url,
        hook_secret=secret,
        secret=secret,
        database_timeout="PT1S",
    )


def attempt(**about) -> Attempt:
    made = Attempt(
        id=uuid4(),
        at=datetime.now(UTC),
        identifier="ada@example.test",
        identifier_hash=b"x" * 32,
        identity_id=None,
        address="192.0.2.7",
        user_agent="a test",
        device_id=None,
        method="password",
        outcome=Outcome.WRONG_CREDENTIALS,
        code="kratos_4000006",
        flow_id=None,
        counts=False,
        is_record=True,
    )
    return replace(made, **about)


def login(**about) -> Attempt:
    return attempt(**{"outcome": Outcome.SUCCESS, "code": None, "counts": True, **about})


def new_member(database, **names: str) -> UUID:
    identity_id = uuid4()
    database.execute(
        "INSERT INTO members (identity_id, email, username, status, role, status_changed_at,"
        " registered_at) VALUES (%s, %s, %s, 'active', 'user', now(), now())",
        (identity_id, names.get("email"), names.get("username")),
    )
    return identity_id


def count(database) -> int:
    return database.execute("SELECT count(*) FROM login_attempts").fetchone()[0]


def write(settings, *attempts: Attempt, most_waiting: int = 20_000) -> None:
    """Hand attempts to a log and stop it at once."""

    async def run() -> None:
        log = AttemptLog(settings, most_waiting=most_waiting)
        await log.start()
        for each in attempts:
            log.add(each)
        await log.close()

    asyncio.run(run())


def test_a_clean_stop_writes_everything_that_waits(settings, database):
    write(settings, *(attempt() for _ in range(3 * attempt_log.BATCH + 7)))
    assert count(database) == 3 * attempt_log.BATCH + 7


async def until_there(database, number: int) -> None:
    """Wait until so many attempts are written, by a log that goes on."""
    async with asyncio.timeout(60):
        while count(database) < number:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


def test_an_attempt_is_written_without_a_stop_so_that_a_kill_loses_little(settings, database):
    async def run() -> None:
        log = AttemptLog(settings)
        await log.start()
        for number in range(1, 4):
            log.add(attempt())
            await until_there(database, number)
        await log.close()

    asyncio.run(run())
    assert count(database) == 3
    assert attempt_log.LONGEST_WAIT_SECONDS < 1


@contextmanager
def away(postgres, url: str) -> Iterator[None]:
    """Shut the database: end its connections and let no new one in."""
    name = url.partition("?")[0].rpartition("/")[2]
    door = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres.postgres_url, autocommit=True) as admin:
        admin.execute(door.format(sql.Identifier(name), sql.SQL("false")))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        try:
            yield
        finally:
            admin.execute(door.format(sql.Identifier(name), sql.SQL("true")))


def test_nothing_is_lost_while_postgresql_is_away_for_a_moment(settings, postgres, url):
    async def run() -> None:
        log = AttemptLog(settings)
        with psycopg.connect(url, autocommit=True) as before:
            before.execute("TRUNCATE login_attempts")
            await log.start()
            for _ in range(20):
                log.add(attempt())
            await until_there(before, 20)
        with away(postgres, url):
            for _ in range(30):
                log.add(attempt())
                await asyncio.sleep(0.05)
        with psycopg.connect(url, autocommit=True) as after:
            await until_there(after, 50)
        await log.close()

    asyncio.run(run())
    with psycopg.connect(url, autocommit=True) as after:
        assert count(after) == 50


def test_a_stop_without_postgresql_ends_in_time(settings, postgres, url, database):
    database.close()
    # As long as it is away: whoever waited for it would never stop.
    with away(postgres, url):
        write(settings, attempt())


def test_what_may_have_been_written_is_not_written_twice(settings, url, database):
    member = new_member(database, email="ada@example.test")
    batch = [login(), attempt(), login()]

    async def run() -> None:
        connection = await psycopg.AsyncConnection.connect(url)
        for may_be_there in (False, True):
            async with connection.transaction():
                await write_batch(connection, batch, may_be_there=may_be_there)
        await connection.close()

    asyncio.run(run())

    counted = database.execute("SELECT login_count FROM members WHERE identity_id = %s", (member,))
    assert (count(database), counted.fetchone()[0]) == (3, 2)


def test_one_attempt_that_postgresql_refuses_holds_back_no_other(settings, database):
    write(settings, attempt(), attempt(address="not an address"), attempt())
    assert count(database) == 2


def test_a_queue_that_is_too_long_drops_the_newest_and_goes_on(settings, database):
    write(settings, *(attempt() for _ in range(15)), most_waiting=10)
    assert count(database) == 10


@pytest.mark.parametrize(
    ("identifier", "known"),
    [
        ("ada@example.test", True),
        ("ada", True),
        ("bob", False),
        (None, False),
        ("a\x00b", False),
        ("\ud800", False),
    ],
)
def test_a_failed_attempt_finds_its_member_by_name(settings, database, identifier, known):
    member = new_member(database, email="Ada@Example.test", username="Ada")

    write(settings, attempt(identifier=identifier))

    [row] = database.execute("SELECT identity_id FROM login_attempts").fetchall()
    assert row[0] == (member if known else None)


def test_each_login_counts_once_and_the_last_one_dates(settings, database):
    member, other = new_member(database), new_member(database)
    now = datetime.now(UTC)
    moments = [now - timedelta(seconds=seconds) for seconds in (9, 5, 2)]

    write(settings, *(login(identity_id=member, at=at) for at in moments))
    write(settings, login(identity_id=member, at=moments[0]), attempt(identity_id=other))

    rows = database.execute("SELECT identity_id, login_count, last_login_at FROM members")
    found = {row[0]: row[1:] for row in rows}
    assert found == {member: (4, moments[-1]), other: (0, None)}


def test_two_writers_of_the_same_members_do_not_lock_each_other_out(settings, database):
    members = [new_member(database) for _ in range(50)]

    async def one(order: list[UUID]) -> None:
        log = AttemptLog(settings)
        await log.start()
        for _ in range(20):
            for member in order:
                log.add(login(identity_id=member))
            await asyncio.sleep(0)
        await log.close()

    async def both() -> None:
        await asyncio.gather(one(members), one(members[::-1]))

    asyncio.run(both())
    counts = database.execute("SELECT DISTINCT login_count FROM members").fetchall()
    assert counts == [(40,)]


def test_the_last_attempt_shows_how_far_a_flow_got(settings, database):
    member, flow_id = new_member(database, email="ada@example.test"), uuid4()
    now = datetime.now(UTC)

    write(
        settings,
        attempt(flow_id=flow_id, at=now - timedelta(seconds=2)),
        login(flow_id=flow_id, at=now),
    )
    write(settings, attempt(flow_id=flow_id, at=now - timedelta(seconds=1)))

    [row] = database.execute("SELECT kind, state, error, identity_id FROM flows").fetchall()
    assert row == ("login", "completed", None, member)


def test_a_login_never_touches_the_progress_of_another_kind_of_flow(settings, database):
    flow_id = uuid4()
    database.execute(
        "INSERT INTO flows (flow_id, kind, state, steps) VALUES (%s, 'registration', 'x', '[]')",
        (flow_id,),
    )
    write(settings, attempt(flow_id=flow_id))
    assert database.execute("SELECT kind, state FROM flows").fetchall() == [("registration", "x")]


def test_a_step_that_waits_moves_the_flow_and_is_no_record(settings, database):
    waiting = attempt(
        outcome=Outcome.NEXT_STEP, code="sent_email", flow_id=uuid4(), is_record=False
    )
    write(settings, waiting)
    assert count(database) == 0
    assert database.execute("SELECT state, error FROM flows").fetchall() == [("waiting", None)]


def test_answers_do_not_wait_for_the_record_and_a_stopped_edge_has_written_it(database, url):
    with upstream_running() as upstream:
        # Whoever waited for the table would not answer within the patience of `ask`.
        settings = settings_for(upstream.port, database_url=url, database_timeout="PT50S")
        with edge_running(settings) as port, database.transaction():
            database.execute("LOCK TABLE login_attempts IN ACCESS EXCLUSIVE MODE")
            for number in range(20):
                body = f"method=password&identifier=ada-{number}&password=x"
                path = f"/self-service/login?flow={uuid4()}"
                ask(port, "POST", path, body=body.encode(), headers=FORM)
    assert count(database) == 20


def test_attempts_are_forgotten_when_their_time_is_over(services, clock):
    with services.transaction() as session:
        for days in (91, 89):
            row = login_attempts.LoginAttempt(
                id=uuid4(),
                at=clock() - timedelta(days=days),
                address="192.0.2.7",
                user_agent="",
                method="password",
                outcome="success",
            )
            session.add(row)
        session.flush()
        lifetime = services.settings.login_attempts_lifetime
        assert login_attempts.forget_before(session, clock() - lifetime) == 1
        assert login_attempts.forget_before(session, clock() - lifetime) == 0
