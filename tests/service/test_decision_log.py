"""The record of decisions on a real PostgreSQL: one bad line takes no other with it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from integration.db.migrations.upgrade import upgrade
from integration.edge.decisions.decision import Reason, denied
from integration.edge.decisions.decision_log import (
    MOST_OF_SUBJECT,
    MOST_WAITING,
    DecisionLog,
)
from integration.settings import Settings
from policies.permission_questions import Epochs, Question


def logged(postgres, valkey_url, decide: Callable[[DecisionLog], None]) -> list[str]:
    """Return whom the lines are about that are written of some decisions."""
    url = postgres.new_database()
    upgrade(url)
    secret = "only-in-tests-and-long-enough"
    settings = Settings(database_url=url, valkey_url=valkey_url, hook_secret=secret, secret=secret)

    async def run() -> None:
        log = DecisionLog(settings)
        await log.start()
        decide(log)
        await log.close()

    asyncio.run(run())
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT subject FROM permission_decisions").fetchall()
    return [row[0] for row in rows]


def deny(log: DecisionLog, subject: str, asked_by: str) -> None:
    question = Question(subject, "Content", "a", "edit")
    log.add(question, denied(Reason.DENIED, Epochs(0, 0)), asked_by, "r", time.perf_counter())


@pytest.mark.parametrize("asked_by", ["member", "forward-auth"])
def test_a_flood_of_one_subject_is_cut_off_and_pushes_out_nobody(postgres, valkey_url, asked_by):
    def decide(log: DecisionLog) -> None:
        for _ in range(MOST_WAITING + 1):
            deny(log, "flood", asked_by)
        deny(log, "other", asked_by)
        deny(log, "flood", "key:0123456789abcdef")

    found = Counter(logged(postgres, valkey_url, decide))

    assert found == {"flood": MOST_OF_SUBJECT + 1, "other": 1}


def test_a_line_that_postgresql_refuses_takes_no_other_with_it(postgres, valkey_url):
    url = postgres.new_database()
    upgrade(url)
    secret = "only-in-tests-and-long-enough"
    settings = Settings(database_url=url, valkey_url=valkey_url, hook_secret=secret, secret=secret)
    subject = str(uuid4())

    async def run() -> None:
        log = DecisionLog(settings)
        await log.start()
        for name in ("a", "b\x00", "c"):
            question = Question(subject, "Content", name, "view")
            log.add(
                question, denied(Reason.DENIED, Epochs(0, 0)), "key:x", "r", time.perf_counter()
            )
        await log.close()

    asyncio.run(run())
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT object FROM permission_decisions ORDER BY at").fetchall()
    assert [row[0] for row in rows] == ["a", "c"]
