"""How a command reaches the database, Kratos and Keto: of a running stack, or by the settings."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from integration.cli.context import Environment
from integration.errors import KleisError
from integration.launch.home import home_at
from integration.launch.kleis import settings_from, settings_of_running
from integration.observability import configure_logging
from integration.services import Services, make_services
from integration.settings import PREFIX, Settings


@contextmanager
def connected(environment: Environment) -> Iterator[Services]:
    """Open services for one command, and show its errors as one sentence."""
    # To standard error: what is printed is for programs too.
    configure_logging(level="warning", log_format="console", process="cli")
    services = make_services(settings_of(environment), pool_size=2)
    try:
        yield services
    except KleisError as error:
        detail = f" ({error.detail})" if error.detail else ""
        raise click.ClickException(f"{error.message}{detail}") from error
    finally:
        services.close()


def settings_of(environment: Environment) -> Settings:
    """Return the settings in the environment; without a database there, those of `make up`."""
    if f"{PREFIX}DATABASE_URL" not in environment.variables:
        home = home_at(environment.stack_settings().home)
        if running := settings_of_running(home):
            return settings_from(running)
    return environment.settings()
