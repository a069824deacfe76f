"""`kleis up`, `down`, `status`: the embedded stack."""

import json
import sys

import click

from integration.cli.context import Environment
from integration.launch import detached, stack
from integration.launch import status as stack_status
from integration.launch.home import home_at


@click.command()
@click.option("--detach", is_flag=True, help="Return when it is ready; it goes on running.")
@click.option("--notify", type=int, hidden=True, help="Descriptor that hears of start-up.")
@click.option("--parent", type=int, hidden=True, help="End when this process does.")
@click.pass_obj
def up(environment: Environment, *, detach: bool, notify: int | None, parent: int | None) -> None:
    """Start the embedded stack; Ctrl-C or `kleis down` ends it."""
    settings = environment.stack_settings()
    home = home_at(settings.home)
    if detach:
        sys.exit(detached.launch(home, environment.variables, say=_say))

    def ready(table: str) -> None:
        _say(table)
        if notify is not None:
            detached.started(notify, home)

    stack.up(settings, home, environment.variables, say=_say, ready=ready, parent=parent)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@click.command()
@click.pass_obj
def down(environment: Environment) -> None:
    """End the embedded stack, however it was started."""
    home = home_at(environment.stack_settings().home)
    if stack.down(home):
        _say(f"The stack in {home.root} has ended.")
    else:
        _say(f"No stack runs in {home.root}.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(environment: Environment, *, as_json: bool) -> None:
    """Show processes and undone effects; exit code 1 when neither stack nor database is there."""
    effects = _undone_effects(environment)
    found = stack_status.of(environment.stack_settings()) | {"effects": effects}
    _say(json.dumps(found, indent=2) if as_json else stack_status.table(found))
    sys.exit(0 if found["running"] or effects is not None else 1)


def _undone_effects(environment: Environment) -> dict[str, dict[str, int]] | None:
    """Return what the outbox still holds, by lane; None where no database answers."""
    # Half of Kleis comes with these; `up` and `down` do without.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from integration.cli.connecting import connected  # noqa: PLC0415
    from integration.db import outbox  # noqa: PLC0415

    try:
        with connected(environment) as services, services.transaction() as session:
            return outbox.counts(session)
    except (SQLAlchemyError, click.ClickException):
        return None
