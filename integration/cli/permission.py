"""`kleis permission …`: which permissions exist, and what forward-auth asks for."""

import click

from integration.authority import catalogue, permissions
from integration.authority.admins import THE_OPERATOR
from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.forward_auth import try_rules
from integration.cli.printing import json_option, print_rows
from policies.authority import Role
from policies.permissions import Permission, built_in


@click.group()
def permission() -> None:
    """Which permissions exist, and what forward-auth asks for."""


@permission.command("list")
@json_option
@click.pass_obj
def list_permissions(environment: Environment, as_json: bool) -> None:
    """List the platform's permissions and the application's, by name."""
    with connected(environment) as services, services.transaction() as session:
        added = permissions.added(session)
    ours = [(item, "kleis") for item in built_in()]
    theirs = [(item, "application") for item in added]
    rows = [
        {
            "name": item.name,
            "lowest_role": item.lowest_role,
            "of": of,
            "description": item.description,
        }
        for item, of in sorted(ours + theirs, key=lambda pair: pair[0].name)
    ]
    print_rows(rows, as_json=as_json, empty="There are no permissions.")


@permission.command("add")
@click.argument("name")
@click.option("--description", default="", help="What it allows, in a sentence.")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    help="The lowest role that has it; without it, only whom it is granted to.",
)
@click.pass_obj
def add(environment: Environment, name: str, description: str, role: str | None) -> None:
    """Add a permission of the application, such as `invoices.approve`."""
    new = Permission(name, description, None if role is None else Role(role))
    with connected(environment) as services, services.transaction() as session:
        fresh = catalogue.add(session, THE_OPERATOR, new, now=services.now())
    click.echo(f"{name} is added" if fresh else f"{name} was there already")


@permission.command("remove")
@click.argument("name")
@click.option("--reason", default="", help="For the log of authority.")
@click.pass_obj
def remove(environment: Environment, name: str, reason: str) -> None:
    """Remove a permission of the application, from the roles that have it too."""
    with connected(environment) as services:
        with services.transaction() as session:
            catalogue.remove(session, THE_OPERATOR, name, reason=reason, now=services.now())
        told = catalogue.until_told(services)
    click.echo(f"{name} is removed" if told else f"{name} is removed; Keto will be told soon")


permission.add_command(try_rules)
