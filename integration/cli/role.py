"""`kleis role …`: give members their role."""

import click

from integration.authority.admins import THE_OPERATOR
from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.member import find_identity
from integration.members import roles
from policies.authority import Role


@click.group()
def role() -> None:
    """Give members their role."""


@role.command("set")
@click.argument("who")
@click.argument("name", type=click.Choice([str(each) for each in Role]))
@click.option("--reason", required=True, help="Why; it is kept.")
@click.pass_obj
def set_role(environment: Environment, who: str, name: str, reason: str) -> None:
    """Give a member another role. WHO is an identity id, an e-mail address or a username."""
    with connected(environment) as services:
        subject_id = find_identity(services, who)
        with services.transaction() as session:
            now = services.now()
            before = roles.assign(session, THE_OPERATOR, subject_id, Role(name), reason, now=now)
    click.echo(f"{who} is {name} now, and was {before}")
