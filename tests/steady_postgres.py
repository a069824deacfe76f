"""PostgreSQL that does not wait for the disk, and plans the same at any time.

What tests write has to outlive a killed server, and does: the system keeps it. Only a power cut
would lose it, and that nobody tries here. On a slow disk a commit takes longer than many a test.
"""

from pathlib import Path

import psycopg

_UNSYNCED = "fsync = off\n"
# Statistics of a table that is nearly empty, gathered when a test takes long, make other plans.
_UNVACUUMED = "autovacuum = off\n"


def configure(data: Path) -> None:
    """Tell a server that is still to start, by its data folder."""
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(_UNSYNCED + _UNVACUUMED)


def tell(superuser_url: str) -> None:
    """Tell a server that runs not to wait for the disk; it remembers."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
