"""`kleis limits …`: who is held back, and letting them go."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from uuid import UUID

import click

from integration.cli.connecting import settings_of
from integration.cli.context import Environment
from integration.cli.printing import json_option, print_rows
from integration.limits.store import LimitStore


@click.group()
def limits() -> None:
    """Failed attempts, blocks, and how to lift them."""


@limits.command("show")
@click.option("--blocked", "only_blocked", is_flag=True, help="Only what is blocked now.")
@json_option
@click.pass_obj
def show(environment: Environment, only_blocked: bool, as_json: bool) -> None:
    """List counters that hold somebody back, or may soon; accounts as keyed hashes."""
    with _opened(environment) as store:
        standings = store.standings()
    rows = [asdict(item) for item in standings if item.blocked_seconds or not only_blocked]
    print_rows(rows, as_json=as_json, empty="Nobody is held back.")


@limits.command("reset")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--address", help="One address, with its network and its accounts.")
@click.option("--account", type=click.UUID, help="One member, by identity id, from wherever.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def reset(
    environment: Environment,
    everything: bool,
    address: str | None,
    account: UUID | None,
    as_json: bool,
) -> None:
    """Forget failed attempts and blocks, at once and in every edge."""
    if sum((everything, address is not None, account is not None)) != 1:
        raise click.UsageError("give one of --all, --address, --account")
    with _opened(environment) as store:
        count = _reset(store, address, account)
    print_rows([{"reset": count}], as_json=as_json, empty="")


def _reset(store: LimitStore, address: str | None, account: UUID | None) -> int:
    if account is not None:
        return store.reset_account(account)
    if address is None:
        return store.reset_all()
    try:
        return store.reset_address(address)
    except ValueError as error:
        raise click.BadParameter(f"{address} is not an address") from error


@contextmanager
def _opened(environment: Environment) -> Iterator[LimitStore]:
    with closing(LimitStore(settings_of(environment))) as store:
        yield store
