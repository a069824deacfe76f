"""What is deleted by its age: found by an index, a bounded number at once, nothing else touched."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import Connection, bindparam, event, text
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB
from sqlalchemy.types import Boolean, DateTime, Float, Integer, LargeBinary, Text, TypeEngine, Uuid

from integration.db import every_table  # noqa: F401 - they register themselves
from integration.db.retention import MOST_AT_ONCE
from integration.db.tables import Table
from integration.tasks import sweeps

_ROWS = 20_000
_DUE = 50
_AGE = timedelta(days=4000)
_ID = "lpad(n::text, 32, '0')::uuid"
_MOMENT = "case when n <= :due then :old else :new end"
_BY_TYPE = {
    ARRAY: "'{}'",
    Boolean: "false",
    DateTime: _MOMENT,
    INET: "'192.0.2.1'::inet",
    Float: "0",
    Integer: "0",
    JSONB: "'{}'::jsonb",
    LargeBinary: "decode(md5(n::text), 'hex')",
    Text: "n::text",
    Uuid: _ID,
}
# What the type says too little of. Of the names of what was handled most sorts stay.
_VALUES = {
    "handled_events.event": "(array['courier:', 'password:', 'ticket:', 'x:'])[least(n, 4)] || n",
    "handled_events.handled_at": "least(:old, :new)",
    "email_changes.state": "'done'",
}
_MEMBERS = f"""
    insert into members (identity_id, status, role, status_changed_at, registered_at)
    select {_ID}, 'active', 'user', :new, :new from generate_series(1, :rows) as n
"""
_BY_AGE = [
    ("dpop_proofs", "ix_dpop_proofs_expires_at"),
    ("email_changes", "ix_email_changes_ended_at"),
    ("flows", "ix_flows_updated_at"),
    ("handled_events", "ix_handled_events_sort"),
    ("login_attempts", "ix_login_attempts_at"),
    ("member_sessions", "ix_member_sessions_ended_at"),
    ("outbox", "ix_outbox_done_at"),
    ("password_attempts", "ix_password_attempts_created_at"),
    ("permission_decisions", "ix_permission_decisions_at"),
    ("security_events", "ix_security_events_at"),
    ("token_families", "ix_token_families_created_at"),
]


@dataclass
class Deletions:
    """The statements of a sweep that delete, with how many rows each took."""

    seen: list[tuple[str, object, int]] = field(default_factory=list)

    def of(self, table: str) -> list[tuple[str, object, int]]:
        return [each for each in self.seen if f"DELETE FROM {table} " in each[0]]


@contextmanager
def deletions(services) -> Iterator[Deletions]:
    made = Deletions()

    def note(_connection, cursor, statement, parameters, _context, _many) -> None:
        if statement.startswith("DELETE"):
            made.seen.append((statement, parameters, cursor.rowcount))

    event.listen(services.engine, "after_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(services.engine, "after_cursor_execute", note)


def fill(connection: Connection, name: str, *, rows: int, due: int, old, new) -> None:
    """Insert rows of which `due` are of the moment `old`, in all that they say of moments."""
    columns = {
        column.name: _VALUES.get(f"{name}.{column.name}") or _value(column.type)
        for column in Table.metadata.tables[name].columns
        if column.identity is None
    }
    statement = f"""
        insert into {name} ({", ".join(columns)})
        select {", ".join(columns.values())} from generate_series(1, :rows) as n
    """
    moments = [bindparam(each, type_=DateTime(timezone=True)) for each in ("old", "new")]
    values = {"rows": rows, "due": due, "old": old, "new": new}
    if name == "email_changes":
        connection.execute(text(_MEMBERS), values)
    connection.execute(text(statement).bindparams(*moments), values)
    connection.execute(text(f"analyze {name}"))


def _value(kind: TypeEngine) -> str:
    return next(value for each, value in _BY_TYPE.items() if isinstance(kind, each))


@pytest.mark.parametrize(("table", "index"), _BY_AGE)
def test_a_sweep_finds_what_is_due_by_its_index(services, clock, table, index):
    with services.engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 60000"))
        fill(connection, table, rows=_ROWS, due=_DUE, old=clock() - _AGE, new=clock())

    with deletions(services) as made:
        sweeps.forget_the_past(services)

    found = made.of(table)
    assert sum(rows for _, _, rows in found) == (3 if table == "handled_events" else _DUE)
    with services.engine.connect() as connection:
        for statement, parameters, _ in found:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
            assert any(f"using {index} on {table}" in line for line in plan), plan
            assert not any(re.search(rf"Seq Scan on {table}\b", line) for line in plan), plan


@pytest.mark.parametrize(("table", "_index"), _BY_AGE)
def test_each_is_deleted_by_its_place_also_where_statistics_know_of_nothing_old(
    services, clock, table, _index
):
    """Else what came at once would be looked up one by one among all the places."""
    with services.engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 60000"))
        fill(connection, table, rows=_ROWS, due=0, old=clock(), new=clock())

    with deletions(services) as made:
        sweeps.forget_the_past(services)

    with services.engine.connect() as connection:
        for statement, parameters, _ in made.of(table):
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
            assert any(f"Tid Scan on {table}" in line for line in plan), plan


def test_every_sort_of_row_that_is_deleted_is_looked_at_here(services):
    with deletions(services) as made:
        sweeps.forget_the_past(services)

    tables = {re.match(r"DELETE FROM (\w+)", statement)[1] for statement, _, _ in made.seen}
    assert tables == {table for table, _ in _BY_AGE}


def test_a_sweep_deletes_in_steps_of_a_bounded_size(services, clock):
    due = 2 * MOST_AT_ONCE + 500
    with services.engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 60000"))
        for table in ("security_events", "outbox"):
            fill(connection, table, rows=due + 3, due=due, old=clock() - _AGE, new=clock())

    with deletions(services) as made:
        sweeps.forget_the_past(services)

    for table in ("security_events", "outbox"):
        steps = [rows for _, _, rows in made.of(table)]
        assert steps == [MOST_AT_ONCE, MOST_AT_ONCE, 500, 0]
        with services.engine.connect() as connection:
            assert connection.scalar(text(f"select count(*) from {table}")) == 3


def test_what_is_not_done_or_not_over_stays_however_old(services, clock):
    with services.engine.begin() as connection:
        for table in ("outbox", "email_changes", "member_sessions"):
            fill(connection, table, rows=5, due=5, old=clock() - _AGE, new=clock())
        connection.execute(text("update outbox set done_at = null"))
        connection.execute(
            text("update email_changes set ended_at = null, state = 'done', done_at = null")
        )
        connection.execute(text("update member_sessions set ended_at = null"))

    sweeps.forget_the_past(services)

    with services.engine.connect() as connection:
        for table in ("outbox", "email_changes", "member_sessions"):
            assert connection.scalar(text(f"select count(*) from {table}")) == 5
