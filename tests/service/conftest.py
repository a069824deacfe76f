"""Services on a real PostgreSQL and Valkey. Kratos and Keto are out of reach: closed ports."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from integration.db.tables import Table
from integration.service import make_api, make_hooks
from integration.services import Services, make_services
from integration.settings import Settings

HOOK_SECRET = "a-hook-secret-for-tests"
CLOSED = "http://127.0.0.1:9/"


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(database_url: str, valkey_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        valkey_url=valkey_url,
        hook_secret=HOOK_SECRET,
        secret="a-secret-for-tests-alone",
        kratos_public_url=CLOSED,
        kratos_admin_url=CLOSED,
        keto_read_url=CLOSED,
        keto_write_url=CLOSED,
        embedded=True,
    )


@pytest.fixture
def rung() -> list[UUID]:
    """Ids of the effects that committed transactions rang for."""
    return []


@pytest.fixture
def services(settings: Settings, clock: Clock, rung: list[UUID]) -> Iterator[Services]:
    made = replace(make_services(settings, pool_size=4), now=clock, ring=rung.extend)
    with made.transaction() as session:
        names = ", ".join(table.name for table in Table.metadata.sorted_tables)
        session.execute(text(f"truncate {names}"))
    yield made
    made.close()


@pytest.fixture
def hooks(services: Services) -> Iterator[TestClient]:
    """Calls hooks as Kratos does."""
    headers = {"X-Kleis-Hook-Secret": HOOK_SECRET}
    with TestClient(make_hooks(services), headers=headers) as client:
        yield client


@pytest.fixture
def api(services: Services) -> Iterator[TestClient]:
    with TestClient(make_api(services)) as client:
        yield client


@pytest.fixture
def traits() -> dict[str, str]:
    name = f"ada-{uuid4().hex[:8]}"
    return {
        "email": f"{name}@example.test",
        "username": name,
        "first_name": "Ada",
        "last_name": "",
        "display_name": "",
    }
