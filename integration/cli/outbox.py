"""`kleis outbox …`: effects on their way, and those that were given up."""

from uuid import UUID

import click

from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.printing import json_option, print_rows
from integration.db import outbox as rows


@click.group()
def outbox() -> None:
    """Effects on their way, and those that were given up."""


@outbox.command("list")
@click.option("--parked", is_flag=True, help="Only those that were given up.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_obj
def list_effects(environment: Environment, parked: bool, limit: int, as_json: bool) -> None:
    """List undone effects, oldest first."""
    with connected(environment) as services, services.transaction() as session:
        listed = [
            {
                "id": str(item.id),
                "kind": item.kind,
                "member": item.identity_id,
                "state": "parked" if item.parked_at else "waiting",
                "attempts": item.attempts,
                "due_at": item.due_at,
                "last_error": item.last_error,
            }
            for item in rows.undone(session, parked_only=parked, limit=limit)
        ]
    print_rows(listed, as_json=as_json, empty="Nothing is waiting.")


@outbox.command("retry")
@click.argument("effect_ids", nargs=-1, type=click.UUID)
@click.option("--all-parked", is_flag=True, help="Every effect that was given up.")
@click.pass_obj
def retry(environment: Environment, effect_ids: tuple[UUID, ...], all_parked: bool) -> None:
    """Try effects again, now."""
    if not effect_ids and not all_parked:
        raise click.UsageError("give the ids of effects, or --all-parked")
    with connected(environment) as services, services.transaction() as session:
        chosen = set(effect_ids)
        if all_parked:
            chosen |= {item.id for item in rows.undone(session, parked_only=True, limit=10_000)}
        found = sum(rows.retry(session, item, now=services.now()) for item in chosen)
    click.echo(f"{found} of {len(chosen)} will be tried now")
