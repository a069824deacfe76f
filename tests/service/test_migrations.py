"""Migrations on an empty and on a filled database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from integration.db import every_table  # noqa: F401 - they register themselves
from integration.db.migrations.upgrade import upgrade
from integration.db.tables import Table


@pytest.fixture
def empty_url(postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def engine(empty_url):
    made = create_engine(empty_url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield made
    made.dispose()


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_url, engine):
    upgrade(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_a_filled_database_goes_up_again_and_loses_nothing(empty_url, engine):
    upgrade(empty_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into members (identity_id, status, role, status_changed_at, registered_at)"
                " values (:id, 'active', 'user', :now, :now)"
            ),
            {"id": uuid4(), "now": datetime.now(UTC)},
        )

    upgrade(empty_url)

    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from members")) == 1


def test_four_processes_may_migrate_at_once(empty_url, engine):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: upgrade(empty_url), range(4)))
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from alembic_version")) == 1
