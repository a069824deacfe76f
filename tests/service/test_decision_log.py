"""The record of decisions on a real PostgreSQL: one bad line takes no other with it."""

import asyncio
import time
from uuid import uuid4

import psycopg

from integration.db.migrations.upgrade import upgrade
from integration.edge.decisions.decision import Reason, denied
from integration.edge.decisions.decision_log import DecisionLog
from integration.settings import Settings
from policies.permission_questions import Epochs, Question


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
