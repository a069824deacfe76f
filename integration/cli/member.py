"""`kleis member …`: look at a member."""

import json
from uuid import UUID

import click

from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.printing import json_option
from integration.db import members
from integration.services import Services


@click.group()
def member() -> None:
    """Look at members."""


@member.command("show")
@click.argument("who")
@json_option
@click.pass_obj
def show(environment: Environment, who: str, as_json: bool) -> None:
    """Show a member and its history. WHO is an identity id, an e-mail address or a username."""
    with connected(environment) as services:
        identity_id = find_identity(services, who)
        with services.transaction() as session:
            row = members.get(session, identity_id)
            if row is None:
                raise click.ClickException(f"{who} is no member (kleis doctor finds out why)")
            facts = {
                "id": str(row.identity_id),
                "email": row.email,
                "username": row.username,
                "role": row.role,
                "status": row.status,
                "registered_at": row.registered_at,
                "verified_at": row.verified_at,
                "history": [
                    f"{item.at.isoformat(timespec='seconds')} {item.source or 'guest'} -> "
                    f"{item.target} ({item.trigger} by {item.actor})"
                    for item in members.history(session, identity_id)
                ],
            }
    if as_json:
        click.echo(json.dumps(facts, indent=2, default=str))
        return
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for index, line in enumerate(lines):
            click.echo(f"{name if index == 0 else '':<14}{'-' if line is None else line}")


def find_identity(services: Services, who: str) -> UUID:
    """Return the id of whom an operator means: an id, an e-mail address or a username.

    Raises:
        ClickException: Kratos knows nobody of this name.
    """
    try:
        return UUID(who)
    except ValueError:
        identity = services.kratos.find(who)
        if identity is None:
            raise click.ClickException(f"Kratos knows nobody as {who}") from None
        return identity.id
