"""Epochs: what one process changes, every edge hears, whatever order transactions end in."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from integration.db import epochs
from integration.edge.database import Database
from integration.edge.decisions.subjects import Subjects
from integration.edge.epochs import Epochs

Told = list[tuple[UUID, int, bool]]


def listening(settings, work: Callable[[Epochs, Told], Awaitable[None]]) -> None:
    """Run `work` beside an edge's ear."""

    async def run() -> None:
        database = Database(settings)
        ear, told = Epochs(settings, database), []
        ear.listen(lambda *what: told.append(what))
        await database.start()
        await ear.start()
        await ear.catch_up()
        try:
            await work(ear, told)
        finally:
            await ear.close()
            await database.close()

    asyncio.run(run())


async def until(true: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def move(services, subject_id: UUID, *, authority: bool = False) -> int:
    with services.transaction() as session:
        return epochs.move(session, subject_id, authority=authority)


def test_who_catches_up_knows_all_that_was_committed_before(services):
    somebody = uuid4()

    async def work(ear: Epochs, told: Told) -> None:
        for number in range(1, 20):
            await asyncio.to_thread(move, services, somebody)
            await ear.catch_up()
            assert told[-1] == (somebody, number, False)

    listening(services.settings, work)


def test_a_move_is_heard_without_asking(services):
    somebody = uuid4()

    async def work(ear: Epochs, told: Told) -> None:
        await asyncio.to_thread(move, services, somebody)
        await until(lambda: (somebody, 1, False) in told)

    listening(services.settings, work)


def test_a_transaction_that_ends_late_is_not_missed(services, database_url):
    early, late = uuid4(), uuid4()
    open_long = psycopg.connect(database_url)
    statement = (
        """INSERT INTO subject_epochs VALUES (%s, 7, 0, 0, pg_current_xact_id()::text::bigint)"""
    )

    async def work(ear: Epochs, told: Told) -> None:
        open_long.execute(statement, (late,))
        for _ in range(3):
            await asyncio.to_thread(move, services, early)
            await ear.catch_up()
        assert late not in {subject for subject, _, _ in told}
        open_long.commit()
        await ear.catch_up()
        assert (late, 7, False) in told

    listening(services.settings, work)
    open_long.close()


def test_what_was_rolled_back_is_not_heard(services):
    def move_and_fail() -> None:
        with services.transaction() as session:
            epochs.move(session, uuid4())
            raise RuntimeError

    async def work(ear: Epochs, told: Told) -> None:
        with pytest.raises(RuntimeError):
            move_and_fail()
        await ear.catch_up()
        assert told == []

    listening(services.settings, work)


def test_a_subject_settles_when_keto_has_the_last_change_and_not_before(services):
    somebody = uuid4()
    first = move(services, somebody, authority=True)
    second = move(services, somebody, authority=True)
    with services.transaction() as session:
        epochs.settled(session, somebody, first)
        assert epochs.is_settling(session, somebody)
    third = move(services, somebody)
    assert third == second + 1
    with services.transaction() as session:
        epochs.settled(session, somebody, second)
    with services.transaction() as session:
        assert not epochs.is_settling(session, somebody)
        assert epochs.current(session, somebody) == third


def test_moves_at_once_all_count(services):
    somebody = uuid4()
    threads = [threading.Thread(target=move, args=(services, somebody)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with services.transaction() as session:
        assert epochs.current(session, somebody) == len(threads)


@pytest.fixture
def put_back(services, database_url) -> Iterator[Callable[[], None]]:
    """Puts the table back as a restored dump does; the other tests get theirs again."""

    def restore() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("ALTER TABLE subject_epochs RENAME TO of_before")
            connection.execute("CREATE TABLE subject_epochs (LIKE of_before INCLUDING ALL)")
            connection.execute("INSERT INTO subject_epochs SELECT * FROM of_before")

    yield restore
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE IF EXISTS of_before CASCADE")


def test_an_edge_forgets_everything_when_the_database_was_put_back(services, put_back):
    forgotten: list[bool] = []

    async def work(ear: Epochs, _: Told) -> None:
        ear.on_another_past(lambda: forgotten.append(ear.is_fresh))
        await asyncio.to_thread(move, services, uuid4())
        await ear.catch_up()
        assert forgotten == []
        await asyncio.to_thread(put_back)
        await ear.catch_up()
        assert len(forgotten) == 1
        await ear.catch_up()
        assert len(forgotten) == 1

    listening(services.settings, work)


def test_a_subject_is_looked_up_again_when_the_database_was_put_back(services, put_back):
    somebody = uuid4()
    move(services, somebody)

    async def work() -> None:
        database = Database(services.settings)
        ear = Epochs(services.settings, database)
        subjects = Subjects(database, ear)
        await database.start()
        await ear.start()
        await ear.catch_up()
        known = await subjects.of(str(somebody))
        assert subjects.remembered(str(somebody)) is known
        await asyncio.to_thread(put_back)
        await ear.catch_up()
        assert ear.is_fresh
        assert subjects.remembered(str(somebody)) is None
        await ear.close()
        await database.close()

    asyncio.run(work())


def test_an_edge_that_cannot_look_is_not_fresh(services):
    away = services.settings.model_copy(update={"database_url": _Unreachable()})

    async def work() -> None:
        database = Database(away)
        ear = Epochs(away, database)
        await database.start()
        await ear.start()
        await ear.catch_up()
        assert not ear.is_fresh
        await ear.close()
        await database.close()

    asyncio.run(work())


class _Unreachable:
    def get_secret_value(self) -> str:
        return "postgresql://kleis:wrong@127.0.0.1:1/kleis"
