"""`kleis serve …`: one process of Kleis in the foreground.

Each command imports what it serves: the edge is to know neither FastAPI nor Celery.
"""
# ruff: noqa: PLC0415

import gc

import click

from integration.cli.context import Environment
from integration.observability import configure_logging
from integration.settings import Settings


@click.group()
def serve() -> None:
    """Run one process: edge, service or worker."""


@serve.command("edge")
@click.pass_obj
def edge(environment: Environment) -> None:
    """The one origin: forwards to Ory and to the service."""
    import uvicorn

    from integration.edge.assembly import make_edge
    from integration.edge.postgres_address import AddressError
    from integration.edge.protocol import EdgeProtocol
    from integration.forward_auth_rules import RulesError

    settings = _start(environment, "edge")
    try:
        app = make_edge(settings)
    except RulesError as error:
        raise click.ClickException(f"KLEIS_FORWARD_AUTH_RULES: {error}") from error
    except AddressError as error:
        raise click.ClickException(f"KLEIS_DATABASE_URL: {error}") from error
    # What is here now stays: no collection is to look through it while a request waits.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=settings.bind,
        port=settings.port_edge,
        http=EdgeProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # None of ours speaks it, and its log lines would hold queries.
        ws="none",
        # Longer than clients keep theirs: who closes first breaks a request that is on its way.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


@serve.command("service")
@click.pass_obj
def run_service(environment: Environment) -> None:
    """Our API and pages, and the private hooks listener."""
    from integration import service

    service.serve(_start(environment, "service"))


@serve.command("worker")
@click.pass_obj
def run_worker(environment: Environment) -> None:
    """Celery with its schedule: effects, sweeps, the reconciler."""
    from integration import worker

    worker.run(_start(environment, "worker"))


def _start(environment: Environment, process: str) -> Settings:
    settings = environment.settings()
    configure_logging(level=settings.log_level, log_format=settings.log_format, process=process)
    return settings
