"""`kleis key …`: API keys of services and admins, and the keys that sign access tokens."""

from datetime import timedelta

import click
from pydantic import TypeAdapter, ValidationError

from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.printing import json_option, print_rows
from integration.db import api_keys
from integration.tokens import signing_keys
from policies.scopes import SCOPES

_DURATION = TypeAdapter(timedelta)


@click.group()
def key() -> None:
    """API keys of services and admins."""


@key.command("create")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(SCOPES)),
    help="What it may do; write includes read. Give it several times for several.",
)
@click.option("--name", default="", help="Who or what uses it.")
@click.option("--expires-in", help="ISO 8601 duration, such as P90D; without it, never.")
@click.pass_obj
def create(
    environment: Environment, scopes: tuple[str, ...], name: str, expires_in: str | None
) -> None:
    """Print a new key. It is shown this once: only its SHA-256 is kept."""
    lifetime = read_duration(expires_in)
    with connected(environment) as services, services.transaction() as session:
        now = services.now()
        token = api_keys.create(
            session,
            name=name,
            scopes=frozenset(scopes),
            expires_at=None if lifetime is None else now + lifetime,
            now=now,
        )
    click.echo(token)


@key.command("list")
@json_option
@click.pass_obj
def list_keys(environment: Environment, as_json: bool) -> None:
    """List all keys, also those that no longer work."""
    with connected(environment) as services, services.transaction() as session:
        rows = [
            {
                "id": item.id,
                "name": item.name,
                "scopes": item.scopes,
                "created_at": item.created_at,
                "expires_at": item.expires_at,
                "revoked_at": item.revoked_at,
            }
            for item in api_keys.everything(session)
        ]
    print_rows(rows, as_json=as_json, empty="There are no keys.")


@key.command("revoke")
@click.argument("key_id")
@click.pass_obj
def revoke(environment: Environment, key_id: str) -> None:
    """Stop a key from working; edges notice within a second."""
    with connected(environment) as services, services.transaction() as session:
        found = api_keys.revoke(session, key_id, now=services.now())
    if not found:
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(f"key {key_id} is revoked")


@key.command("rotate-signing")
@click.option(
    "--compromised",
    is_flag=True,
    help="Withdraw the keys in use at once: every access token has to be refreshed.",
)
@click.pass_obj
def rotate_signing(environment: Environment, compromised: bool) -> None:
    """Publish a new key for access tokens; it signs once every verifier can know it."""
    with connected(environment) as services, services.transaction() as session:
        settings, now = services.settings, services.now()
        make = signing_keys.replace_compromised if compromised else signing_keys.rotate
        new = make(session, settings, now=now)
        kid, active_from = new.kid, new.active_from
    click.echo(f"key {kid} is published and signs from {active_from:%Y-%m-%d %H:%M:%S %Z}")


def read_duration(text: str | None) -> timedelta | None:
    """Read `P90D`; None stays None.

    Raises:
        BadParameter: it is no duration, or not a positive one.
    """
    if text is None:
        return None
    try:
        duration = _DURATION.validate_python(text)
    except ValidationError as error:
        raise click.BadParameter("give an ISO 8601 duration, such as P90D") from error
    if duration <= timedelta(0):
        raise click.BadParameter("the duration must be positive")
    return duration
