"""`kleis migrate`: our own database, up to the newest schema."""

import click

from integration.cli.context import Environment
from integration.db.migrations.upgrade import upgrade


@click.command()
@click.pass_obj
def migrate(environment: Environment) -> None:
    """Bring Kleis' own database to the newest schema. Safe to run again, and by several at once."""
    upgrade(environment.settings().database_url.get_secret_value())
    click.echo("the database is at the newest schema")
