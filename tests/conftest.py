"""Real servers for tests: a PostgreSQL and a Valkey alone, or a whole private stack.

Both run beside a `make up` without meeting it. PostgreSQL and Valkey come from a Docker engine
where one answers, else from the wheels that the embedded stack uses.
"""

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg import sql

from integration.db.migrations.upgrade import upgrade
from integration.launch import postgres as embedded_postgres
from integration.launch import valkey as embedded_valkey
from integration.launch.guarding import Guard
from integration.launch.home import home_at, make_home
from integration.launch.placement import place, remove_outside
from integration.launch.postgres import SUPERUSER, Cluster
from integration.launch.programs import Startup
from integration.launch.stopping import Stop
from integration.launch.supervisor import Supervisor
from tests import steady_postgres
from tests.keto.server import KetoServer, keto_running
from tests.openid_provider import provider_for, served, tell
from tests.private_stack import PrivateStack

LONG = (
    "system/test_crashes.py",
    "service/test_hostile_checks.py",
    "system/test_decision_races.py",
    "service/test_tuple_writes.py",
    "browser/",
    "system/test_email_changes.py",
    "system/test_grants.py",
    "system/test_lockout.py",
    "system/test_reconciliation.py",
    "system/test_body_fuzz.py",
    "service/test_edge_bad_input.py",
)
"""Files of half a minute or more: begun last, one of them would be waited for alone."""
PASSWORD = "only-in-tests-and-on-a-private-socket"


def pytest_configure() -> None:
    """Show errors as `configure_logging` does: with the variables of every frame it takes seconds.

    An edge in a thread of the tests, and all who wait for it, would stand still for so long.
    """
    usual = structlog.get_config()["processors"][:-1]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*usual, plain])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files where several run at once, else keep the order of the names."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_place_in_line)


def _place_in_line(item: pytest.Item) -> int:
    file = item.nodeid.partition("::")[0]
    found = (place for place, long in enumerate(LONG) if f"tests/{long}" in file)
    return next(found, len(LONG))


@dataclass(frozen=True)
class Databases:
    """A PostgreSQL and a Valkey that tests may fill as they like.

    Attributes:
        postgres_url: `postgresql://…` of a superuser.
    """

    postgres_url: str
    valkey_url: str
    source: str

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        before, _, after = self.postgres_url.rpartition("/postgres")
        return f"{before}/{name}{after}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One PostgreSQL and one Valkey for the whole run."""
    with ExitStack() as stack:
        found = _in_docker(stack)
        yield found or _embedded(stack, tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def database_url(postgres: Databases) -> str:
    """A migrated database for the whole run; tests empty its tables for themselves."""
    url = postgres.new_database()
    upgrade(url)
    return url


@pytest.fixture(scope="session")
def valkey_url(postgres: Databases) -> str:
    return postgres.valkey_url


@pytest.fixture(scope="session")
def keto(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KetoServer]:
    """Keto with our model for the whole run. Tests use objects and subjects of their own."""
    with keto_running(postgres.new_database(), tmp_path_factory.mktemp("keto")) as server:
        yield server


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateStack]:
    """A whole stack for the whole run; tests that kill parts of it wait until they are back."""
    settings = {
        "KLEIS_SWEEP_PERIOD": "PT1S",
        # Nobody compares beside the tests that make something differ, and look.
        "KLEIS_RECONCILE_PERIOD": "PT12H",
    }
    private = PrivateStack(tmp_path_factory.mktemp("stack"), settings)
    private.rival = provider_for(private, "rival", algorithm="ES256")
    tell(private, rival=private.rival)
    with served(private.rival), closing(private):
        private.start()
        yield private


def _embedded(stack: ExitStack, folder: Path, *, is_measured: bool = False) -> Databases:
    home = home_at(folder / "home")
    make_home(home)
    place_of = place(home, embedded_postgres.installed_programs())
    stack.callback(remove_outside, home)
    passwords = dict.fromkeys((SUPERUSER, *embedded_postgres.DATABASES), PASSWORD)
    cluster = Cluster(placement=place_of, passwords=passwords)
    guard, stop = Guard(), Stop()
    stack.callback(guard.close)
    supervisor = Supervisor(
        home.logs, tell_guard=guard.watch, say=print, changed=lambda _records: None
    )
    stack.callback(supervisor.close)
    embedded_postgres.prepare(cluster, Startup({}, print, stop, guard.watch))
    if not is_measured:
        steady_postgres.configure(place_of.data)
    supervisor.start(embedded_postgres.program(cluster))
    supervisor.start(embedded_valkey.program(place_of.sockets, home.root / "valkey"))
    while not embedded_postgres.is_ready(cluster):
        supervisor.step()
        stop.pause(0.05)
    while not embedded_valkey.is_ready(place_of.sockets):
        supervisor.step()
        stop.pause(0.05)
    return Databases(
        postgres_url=cluster.url(SUPERUSER, database="postgres"),
        valkey_url=f"unix://{embedded_valkey.socket_in(place_of.sockets)}",
        source="embedded",
    )


def _in_docker(stack: ExitStack) -> Databases | None:
    """Return both in containers; None where no engine answers or it cannot get the images."""
    with warnings.catch_warnings():
        # The libraries' own: deprecations, and a socket left open where nobody answers.
        warnings.simplefilter("ignore")
        found = _containers(stack) if _docker_answers() else None
        gc.collect()
    return found


def _docker_answers() -> bool:
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        with closing(docker.from_env(timeout=3)) as client:
            return bool(client.ping())
    except DockerException:
        return False


def _containers(stack: ExitStack) -> Databases | None:
    from docker.errors import DockerException  # noqa: PLC0415
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

    try:
        database = stack.enter_context(
            PostgresContainer("postgres:18", dbname="postgres", driver=None)
        )
        valkey = stack.enter_context(DockerContainer("valkey/valkey:9").with_exposed_ports(6379))
    except DockerException:
        return None
    address = f"{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}"
    return Databases(database.get_connection_url(), f"redis://{address}/0", source="docker")
