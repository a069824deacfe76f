"""The `kleis` program: one module a group of commands, loaded when one of them is run.

`kleis serve edge` must not load what `kleis doctor` needs: the processes stay small and start
quickly.
"""

from importlib import import_module
from typing import Any

import click

from integration.errors import KleisError

COMMANDS = {
    "audit": "integration.cli.audit:audit",
    "docs": "integration.cli.documentation:docs",
    "doctor": "integration.cli.doctor:doctor",
    "down": "integration.cli.stack:down",
    "grant": "integration.cli.grant:grant",
    "key": "integration.cli.key:key",
    "limits": "integration.cli.limits:limits",
    "member": "integration.cli.member:member",
    "migrate": "integration.cli.migrate:migrate",
    "outbox": "integration.cli.outbox:outbox",
    "permission": "integration.cli.permission:permission",
    "render": "integration.cli.render:render",
    "role": "integration.cli.role:role",
    "serve": "integration.cli.serve:serve",
    "status": "integration.cli.stack:status",
    "up": "integration.cli.stack:up",
}
"""Every command: where it is written. A new one is added here."""


class Failure(click.ClickException):
    """An error of ours as one line for the person at the terminal; exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"kleis: {self.format_message()}", file=file, err=file is None)


class Commands(click.Group):
    """Finds a command by its name and turns errors of ours into words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KleisError as error:
            raise Failure(error.message) from error
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise Failure(error.message) from error


@click.group(cls=Commands)
def root() -> None:
    """Kleis: the self-hosted identity layer on Ory Kratos and Ory Keto."""
