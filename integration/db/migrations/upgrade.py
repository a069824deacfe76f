"""Bring a database to the newest schema. Several callers at once wait for each other."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

_LOCK = 4_455_000_001


def config(database_url: str) -> Config:
    """Return Alembic's configuration; there is no `alembic.ini`."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    # Alembic reads options through ConfigParser, where a percent sign starts a reference.
    settings.attributes["database_url"] = database_url
    return settings


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate the database at a `postgresql://` URL up to `revision`."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, connect_args={"options": "-c lock_timeout=10s -c timezone=UTC"})
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            settings = config(database_url)
            settings.attributes["connection"] = connection
            command.upgrade(settings, revision)
            connection.commit()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    finally:
        engine.dispose()
