"""Our own processes in the embedded stack, and the settings they are given."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from integration.launch.credentials import Credentials
from integration.launch.files import read_json
from integration.launch.home import CHECKOUT, Home, is_held
from integration.launch.ports import HOST
from integration.launch.postgres import Cluster
from integration.launch.programs import Program
from integration.launch.valkey import socket_in
from integration.settings import PREFIX, Settings, StackSettings

ROLES = ("service", "edge", "worker")


def settings_for(
    stack: StackSettings,
    credentials: Credentials,
    cluster: Cluster,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of our processes.

    The operator's `KLEIS_*` variables are kept, but for the wiring between the servers that
    this stack runs itself.
    """
    wiring = {
        "database_url": cluster.url("kleis"),
        "valkey_url": f"unix://{socket_in(cluster.placement.sockets)}",
        "kratos_public_url": f"http://{HOST}:{stack.port_kratos_public}/",
        "kratos_admin_url": f"http://{HOST}:{stack.port_kratos_admin}/",
        "keto_read_url": f"http://{HOST}:{stack.port_keto_read}/",
        "keto_write_url": f"http://{HOST}:{stack.port_keto_write}/",
        "keto_opl_url": f"http://{HOST}:{stack.port_keto_opl}/",
        "service_url": f"http://{HOST}:{stack.port_service}/",
        "edge_url": edge_url(stack) + "/",
        "hooks_url": f"http://{HOST}:{stack.port_hooks}/",
        "hook_secret": credentials.hook_secret,
        "secret": credentials.kleis_secret,
        "bind": HOST,
        "port_edge": str(stack.port_edge),
        "port_hooks": str(stack.port_hooks),
        "port_service": str(stack.port_service),
        "embedded": "true",
    }
    given = {name: value for name, value in environ.items() if name != f"{PREFIX}BROKER_URL"}
    given[f"{PREFIX}PUBLIC_URL"] = public_url(stack, environ)
    # Everybody here is on loopback: the numbers are those of one person elsewhere.
    given.setdefault(f"{PREFIX}LIMIT_LOOPBACK_FACTOR", "100")
    return given | {PREFIX + name.upper(): value for name, value in wiring.items()}


def only_settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(PREFIX)}


def settings_of_running(home: Home) -> dict[str, str]:
    """Return the `KLEIS_*` variables of the stack that runs in `home`; empty when none does."""
    return read_json(home.settings) if is_held(home) else {}


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read `environ` as our processes would; our own environment plays no part."""
    given = {name: environ.get(PREFIX + name.upper()) for name in Settings.model_fields}
    return Settings.model_validate({name: value for name, value in given.items() if value})


def edge_url(stack: StackSettings) -> str:
    return f"http://{HOST}:{stack.port_edge}"


def public_url(stack: StackSettings, environ: Mapping[str, str]) -> str:
    """Return where people reach the site."""
    return environ.get(f"{PREFIX}PUBLIC_URL") or edge_url(stack) + "/"


def migration(environ: Mapping[str, str]) -> Program:
    return Program(name="kleis-migrate", argv=[_command(), "migrate"], environ=environ)


def program(role: str, environ: Mapping[str, str]) -> Program:
    """Run one of `ROLES`."""
    return Program(name=role, argv=[_command(), "serve", role], environ=environ)


def schema_mark() -> str:
    """Return what changes whenever a migration of ours does."""
    digest = hashlib.sha256()
    for path in sorted((CHECKOUT / "integration" / "db" / "migrations").rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _command() -> Path:
    """Return the `kleis` beside the Python that runs now."""
    return Path(sys.executable).with_name("kleis")
