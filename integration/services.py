"""What handlers, tasks and commands may reach, as one frozen value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from integration.db import locks, sessions
from integration.db.sessions import Bell, Ring, SessionFactory
from integration.db.statements import Statements
from integration.doorbell import Doorbell, check_broker, make_celery
from integration.epoch_channel import EpochBell
from integration.ory.keto import Keto
from integration.ory.kratos import Kratos
from integration.ory.kratos_flows import KratosFlows
from integration.ory.own_edge import OwnEdge
from integration.ory.session_check import SessionCheck
from integration.ory.transport import make_client
from integration.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything outside: settings, database, Kratos, Keto, the queue, the clock."""

    settings: Settings
    engine: Engine
    session_factory: SessionFactory
    statements: Statements
    kratos: Kratos
    session_check: SessionCheck
    flows: KratosFlows
    keto: Keto
    edge: OwnEdge
    ring: Ring
    bell: Bell
    check_broker: Callable[[], None]
    now: Callable[[], datetime] = _now

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open one transaction that is committed at the end and then rings for its effects."""
        with sessions.transaction(self.session_factory, self.ring, self.bell) as session:
            yield session

    def close(self) -> None:
        self.keto.close()
        self.statements.close()
        self.session_check.close()
        self.engine.dispose()


def make_services(settings: Settings, *, pool_size: int = 10) -> Services:
    """Build what a process needs. Connects to nothing yet."""

    def client(url: object, timeout: timedelta = settings.upstream_timeout) -> httpx.Client:
        return make_client(str(url), timeout=timeout, connect_timeout=settings.connect_timeout)

    engine = sessions.make_engine(
        settings.database_url.get_secret_value(),
        timeout=settings.database_timeout,
        pool_size=pool_size,
    )
    public = client(settings.kratos_public_url)
    celery = make_celery(settings)
    return Services(
        settings=settings,
        engine=engine,
        session_factory=sessions.make_session_factory(engine),
        statements=Statements(
            settings.database_url.get_secret_value(),
            timeout=settings.database_timeout,
            pool_size=pool_size,
        ),
        kratos=Kratos(admin=client(settings.kratos_admin_url), public=public),
        session_check=SessionCheck(
            str(settings.kratos_public_url),
            timeout=settings.upstream_timeout,
            connect_timeout=settings.connect_timeout,
        ),
        flows=KratosFlows(public),
        keto=Keto(
            read=client(settings.keto_read_url),
            write=client(settings.keto_write_url),
            turn=lambda left: locks.tuple_lock(engine, timeout=left or settings.database_timeout),
        ),
        edge=OwnEdge(
            client(settings.edge_url, settings.forward_timeout), settings.secret.get_secret_value()
        ),
        ring=Doorbell(celery),
        bell=EpochBell(settings.valkey_url.get_secret_value()),
        check_broker=lambda: check_broker(celery),
    )
