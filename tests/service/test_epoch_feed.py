"""The feed of epochs for clients: everything that moved since a cursor, at any edge."""

import threading
import time
from uuid import uuid4

import pytest

from integration.db import epochs
from integration.edge.decisions.epoch_feed import MOST_WAITING_EACH
from tests.decision_stage import Stage, new_key
from tests.edge_stage import ask
from tests.service.test_decisions import stage_with, until

EDGES = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def stage(services):
    with stage_with(services) as made:
        yield made


def feed(stage: Stage, since: str = "", wait: float = 0, *, headers=None):
    target = f"/api/permissions/epochs?since={since}&wait={wait}"
    return ask(stage.port, "GET", target, headers=stage.key if headers is None else headers)


def test_who_begins_forgets_everything_and_hears_from_there_on(stage):
    first = feed(stage).json()
    assert first["reset"] is True

    subject = str(uuid4())
    stage.move(subject)
    second = feed(stage, first["cursor"]).json()

    assert (second["subjects"], second["edges"], second["reset"]) == ([subject], False, False)
    assert feed(stage, second["cursor"]).json()["subjects"] == []


def test_edges_between_objects_are_told_apart(stage):
    cursor = feed(stage).json()["cursor"]
    stage.move(EDGES)

    told = feed(stage, cursor).json()

    assert (told["subjects"], told["edges"]) == ([], True)


def test_who_waits_hears_at_once(stage):
    cursor = feed(stage).json()["cursor"]
    subject = str(uuid4())
    timer = threading.Timer(0.3, stage.move, (subject,))
    timer.start()
    started = time.monotonic()

    told = feed(stage, cursor, 25).json()
    timer.join()

    assert told["subjects"] == [subject]
    assert time.monotonic() - started < 20


def test_who_waits_for_nothing_gets_nothing_after_its_time(stage):
    cursor = feed(stage).json()["cursor"]

    told = feed(stage, cursor, 0.2).json()

    assert told["subjects"] == []


def test_a_transaction_that_ends_late_is_told_and_what_is_open_does_not_repeat_others(stage):
    late, early = uuid4(), str(uuid4())
    cursor = feed(stage).json()["cursor"]
    with stage.services.transaction() as session:
        epochs.move(session, late)
        stage.move(early)
        first = feed(stage, cursor).json()
        assert first["subjects"] == [early]
        assert feed(stage, first["cursor"]).json()["subjects"] == []
    assert feed(stage, first["cursor"]).json()["subjects"] == [str(late)]


def test_a_cursor_of_a_database_that_was_put_back_starts_anew(stage):
    told = feed(stage, f"{2**62 + 5}:{2**62 + 5}:").json()

    assert told["reset"] is True


def test_who_missed_too_much_starts_anew(stage):
    cursor = feed(stage).json()["cursor"]
    stage.execute(
        "insert into subject_epochs select gen_random_uuid(), 1, 0, 0,"
        " pg_current_xact_id()::text::bigint from generate_series(1, 1001)"
    )

    assert feed(stage, cursor).json()["reset"] is True


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=1:2", "since=5:3:", "since=1:9:9", "since=1:9:5,4", "wait=26", "wait=-1",
     "wait=x", "more=1", "since=0:1:", f"since={2**64 + 1}:{2**64 + 1}:",
     f"since={2**40}:{2**40}:"],
)  # fmt: skip
def test_a_query_that_is_none_is_refused(stage, query):
    answered = ask(stage.port, "GET", f"/api/permissions/epochs?{query}", headers=stage.key)

    assert answered.status == 422


def test_only_a_key_that_may_ask_hears(stage):
    other = new_key(stage.services, "identities:read")

    assert feed(stage, headers={}).status == 401
    assert feed(stage, headers=other).status == 403


def test_one_key_does_not_hold_all_who_wait_and_one_too_many_is_answered_at_once(stage):
    other = new_key(stage.services, "permissions:read")
    cursor = feed(stage).json()["cursor"]
    told = []
    polls = [
        threading.Thread(target=lambda: told.append(feed(stage, cursor, 25).json()["subjects"]))
        for _ in range(MOST_WAITING_EACH + 4)
    ]
    for poll in polls:
        poll.start()
    until(lambda: len(told) == 4)

    assert feed_takes(stage, cursor, wait=20) < 20
    assert feed_takes(stage, cursor, headers=other) >= 0.5

    subject = str(uuid4())
    stage.move(subject)
    for poll in polls:
        poll.join()
    assert sorted(told) == [[]] * 4 + [[subject]] * MOST_WAITING_EACH
    assert feed_takes(stage, feed(stage).json()["cursor"]) >= 0.5


def feed_takes(stage: Stage, cursor: str, *, wait: float = 0.5, headers=None) -> float:
    started = time.monotonic()
    assert feed(stage, cursor, wait, headers=headers).status == 200
    return time.monotonic() - started
