"""Checks that race revocations and suspensions over two edges: none is allowed too late.

The long run, with a million checks, is `benchmarks/decision_races.py`.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.decision_history import stale
from tests.decision_race import History, Race, race, second_edge

SHORT = Race(checks=3_000, revokes=72, suspensions=12)


@pytest.fixture(scope="module")
def edges(stack) -> Iterator[tuple[str, str]]:
    with second_edge(stack) as other:
        yield stack.edge_url, other


def judge(history: History, how: Race) -> None:
    assert stale(history.allowed, history.changes) == []
    # It could have gone wrong: enough was asked, allowed, and taken.
    assert history.checks >= how.checks
    assert history.taken() >= how.revokes + how.suspensions
    assert len(history.allowed) > history.checks / 50
    assert len(history.allowed) < history.checks


def test_no_check_is_allowed_after_what_it_needs_was_taken(stack, edges):
    how = Race(checks=20_000, revokes=300, suspensions=50)

    judge(race(stack, edges, how), how)


def test_nor_while_valkey_is_killed(stack, edges):
    async def kill() -> None:
        await asyncio.sleep(1.5)
        await asyncio.to_thread(restarted, stack, "valkey")

    judge(race(stack, edges, SHORT, kill), SHORT)


def test_nor_while_keto_is_restarted(stack, edges):
    async def kill() -> None:
        await asyncio.sleep(1.5)
        await asyncio.to_thread(restarted, stack, "keto")

    judge(race(stack, edges, SHORT, kill), SHORT)


def test_nor_while_the_worker_does_nothing(stack, edges, stopped):
    stopped("worker")
    # Every change is settled by a question: while it is, the answers are no.
    judge(race(stack, edges, SHORT), SHORT)


def restarted(stack, name: str) -> None:
    stack.await_restart(name, stack.kill(name))
