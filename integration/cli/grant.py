"""`kleis grant …`: give members permissions, and take them away."""

from datetime import datetime
from uuid import UUID

import click

from integration.authority import grants
from integration.authority.admins import THE_OPERATOR
from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.key import read_duration
from integration.cli.member import find_identity
from integration.cli.printing import json_option, print_rows
from integration.db import grants as rows
from integration.db.grant_tables import PermissionGrant
from policies.grants import Wish

_WHO = "WHO is an identity id, an e-mail address or a username."
_expiry = click.option("--expires-in", help="ISO 8601 duration, such as PT8H; without it, never.")


@click.group()
def grant() -> None:
    """Give members permissions, and take them away."""


@grant.command("add", help=f"Give a member a permission. {_WHO}")
@click.argument("who")
@click.argument("permission")
@click.option("--reason", required=True, help="Why; it is kept.")
@_expiry
@json_option
@click.pass_obj
def add(
    environment: Environment,
    *,
    who: str,
    permission: str,
    reason: str,
    expires_in: str | None,
    as_json: bool,
) -> None:
    lifetime = read_duration(expires_in)
    with connected(environment) as services:
        subject_id = find_identity(services, who)
        with services.transaction() as session:
            now = services.now()
            made = grants.grant(
                session,
                THE_OPERATOR,
                subject_id,
                Wish(permission, None if lifetime is None else now + lifetime, reason),
                rules=grants.rules_of(services.settings),
                now=now,
            )
    _print([made], now, as_json=as_json)


@grant.command("list", help=f"List grants, the latest first. {_WHO}")
@click.argument("who", required=False)
@click.option("--all", "ended", is_flag=True, help="Also those that have ended.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_obj
def list_grants(
    environment: Environment, *, who: str | None, ended: bool, limit: int, as_json: bool
) -> None:
    with connected(environment) as services:
        subject_id = None if who is None else find_identity(services, who)
        now = services.now()
        with services.transaction() as session:
            found = rows.page(
                session, now=now, subject_id=subject_id, only_live=not ended, limit=limit
            )
    _print(list(found), now, as_json=as_json)


@grant.command("revoke")
@click.argument("grant_id", type=click.UUID)
@click.option("--reason", default="", help="Why; it is kept.")
@click.pass_obj
def revoke(environment: Environment, grant_id: UUID, reason: str) -> None:
    """Take a permission away."""
    with connected(environment) as services, services.transaction() as session:
        now = services.now()
        grants.revoke(session, THE_OPERATOR, grant_id, reason, now=now)
    click.echo(f"grant {grant_id} is revoked")


@grant.command("renew")
@click.argument("grant_id", type=click.UUID)
@click.option("--reason", default="", help="Why; it is kept.")
@_expiry
@click.pass_obj
def renew(environment: Environment, grant_id: UUID, reason: str, expires_in: str | None) -> None:
    """Give a grant another end, counted from now."""
    lifetime = read_duration(expires_in)
    with connected(environment) as services, services.transaction() as session:
        now = services.now()
        renewed = grants.renew(
            session,
            THE_OPERATOR,
            grant_id,
            expires_at=None if lifetime is None else now + lifetime,
            reason=reason,
            rules=grants.rules_of(services.settings),
            now=now,
        )
    until = "without an end" if renewed.expires_at is None else f"until {renewed.expires_at}"
    click.echo(f"grant {grant_id} counts {until}")


def _print(found: list[PermissionGrant], now: datetime, *, as_json: bool) -> None:
    listed = [
        {
            "id": str(item.id),
            "subject": str(item.subject_id),
            "permission": item.permission,
            "state": grants.state_of(item, now),
            "expires_at": item.expires_at,
            "granted_by": item.granted_by,
            "reason": item.reason,
        }
        for item in found
    ]
    print_rows(listed, as_json=as_json, empty="There are no grants.")
