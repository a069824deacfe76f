"""`kleis audit …`: who changed whose authority."""

from uuid import UUID

import click

from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.printing import json_option, print_rows
from integration.db import authority_audit
from integration.db.authority_audit import Filter


@click.group()
def audit() -> None:
    """Who changed whose authority."""


@audit.command("list")
@click.option("--subject", type=click.UUID, help="Only of this member.")
@click.option("--actor", help="Only by `key:<id>`, `member:<uuid>`, `operator` or `system`.")
@click.option("--action", help="Only these, such as grant.created.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_obj
def list_audit(
    environment: Environment,
    *,
    subject: UUID | None,
    actor: str | None,
    action: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List changes, the latest first."""
    wanted = Filter(subject_id=subject, actor=actor, action=action)
    with connected(environment) as services, services.transaction() as session:
        rows = [
            {
                "at": item.at,
                "actor": item.actor,
                "action": item.action,
                "subject": item.subject_id,
                "before": item.before,
                "after": item.after,
                "reason": item.reason,
                "request_id": item.request_id,
            }
            for item in authority_audit.page(session, wanted, before_id=None, limit=limit)
        ]
    print_rows(rows, as_json=as_json, empty="Nothing was changed.")
