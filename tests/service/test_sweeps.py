"""Sweeps: one part that cannot be done keeps no other from its turn."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from integration.members import lifecycle
from integration.tasks import sweeps
from policies.lifecycle import Actor
from policies.registration import RegistrationAttempt, new_member

_OLD = """
    insert into permission_decisions (at, subject, namespace, object, relation, allowed, reason,
        epoch, milliseconds, asked_by, request_id)
    select now() - interval '31 days', '', '', '', '', false, '', '', 0, '', ''
    from generate_series(1, :rows)
"""


@pytest.fixture
def patience() -> timedelta:
    return timedelta(seconds=1)


@pytest.fixture
def settings(settings, patience):
    return settings.model_copy(update={"database_timeout": patience})


def count(services, table: str) -> int:
    with services.transaction() as session:
        return session.execute(text(f"select count(*) from {table}")).scalar_one()


def fill(services, rows: int) -> None:
    with services.transaction() as session:
        session.execute(text("set local statement_timeout = 60000"))
        session.execute(text(_OLD), {"rows": rows})


def registered(services, clock) -> str:
    identity_id = uuid4()
    attempt = RegistrationAttempt(email=f"{identity_id}@example.test", username=f"m{identity_id}")
    with services.transaction() as session:
        lifecycle.register(
            session,
            identity_id,
            new_member(attempt),
            actor=Actor.MEMBER,
            flow_id=None,
            now=clock(),
        )
    return str(identity_id)


def statuses(services) -> dict[str, str]:
    with services.transaction() as session:
        rows = session.execute(text("select identity_id::text, status from members")).all()
    return dict(tuple(row) for row in rows)


def test_a_table_that_is_held_keeps_no_other_from_being_swept(services, database_url):
    fill(services, 10)
    with psycopg.connect(database_url) as holding:
        holding.execute("lock table flows in access exclusive mode")
        again_and_again(
            lambda: sweeps.forget_the_past(services),
            lambda: count(services, "permission_decisions") == 0,
        )
    assert count(services, "permission_decisions") == 0


def again_and_again(sweep: Callable[[], object], is_done: Callable[[], bool]) -> None:
    """Sweep until it is done: a busy machine may not do in a second what is not held either."""
    for _ in range(10):
        sweep()
        if is_done():
            return


@pytest.mark.parametrize("patience", [timedelta(minutes=1)], ids=["as long as the disk takes"])
def test_a_flood_of_decisions_leaves_in_one_sweep(services):
    fill(services, 120_000)
    sweeps.forget_the_past(services)
    assert count(services, "permission_decisions") == 0


def test_a_member_that_is_held_keeps_no_other_from_expiring(services, clock, database_url):
    held, other = registered(services, clock), registered(services, clock)
    clock.advance(services.settings.unverified_lifetime + timedelta(seconds=1))
    with psycopg.connect(database_url) as holding:
        holding.execute("select 1 from members where identity_id = %s for update", (held,))
        again_and_again(
            lambda: sweeps.sweep(services), lambda: statuses(services)[other] == "expired"
        )
    assert statuses(services) == {held: "pending_verification", other: "expired"}
