"""`kleis doctor`: is everything there, and does everything agree?"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click
from sqlalchemy import text

from integration.authority import catalogue
from integration.cli.connecting import connected
from integration.cli.context import Environment
from integration.cli.printing import json_option
from integration.db import outbox
from integration.services import Services
from integration.tasks import drift, reconcile
from integration.tasks.drift import Drift


@click.command()
@click.option("--repair", is_flag=True, help="Repair what differs, now.")
@json_option
@click.pass_obj
def doctor(environment: Environment, repair: bool, as_json: bool) -> None:
    """Ask every part, compare Kratos, Keto and our tables, and say what is wrong.

    Exit code 1 when something is.
    """
    with connected(environment) as services:
        report = examine(services, repair=repair)
    if as_json:
        click.echo(json.dumps(report, indent=2, default=str))
    else:
        _print(report)
    if not report["healthy"]:
        raise SystemExit(1)


def examine(services: Services, *, repair: bool) -> dict[str, Any]:
    """Return `{healthy, parts {name: error|null}, outbox {lane: counts}, drift, repaired}`.

    And `elsewhere`: tuples on permissions that we did not write, which is nobody's fault.
    """
    parts = {
        "postgresql": _error_of(lambda: _ask_database(services)),
        "kratos": _error_of(services.kratos.check_ready),
        "keto": _error_of(services.keto.check_ready),
        "valkey": _error_of(services.check_broker),
    }
    report: dict[str, Any] = {"parts": parts, "outbox": {}, "drift": [], "repaired": []}
    report["elsewhere"] = []
    if parts["postgresql"] is None:
        with services.transaction() as session:
            report["outbox"] = outbox.counts(session)
    if all(parts[name] is None for name in ("postgresql", "kratos", "keto")):
        if repair:
            report["repaired"] = _listed(reconcile.reconcile(services))
        report["drift"] = _listed(drift.find(services))
        if not catalogue.is_on_its_way(services) and catalogue.lacking(services):
            report["drift"].append({"subject": "permissions", "repairs": ["SyncPermissions"]})
        report["elsewhere"] = drift.foreign(services)
    parked = sum(lane["parked"] for lane in report["outbox"].values())
    broken = [name for name, error in parts.items() if error is not None]
    report["healthy"] = not (broken or parked or report["drift"])
    return report


def _listed(found: Iterable[Drift]) -> list[dict[str, Any]]:
    return [
        {"subject": one.subject_id, "repairs": [type(item).__name__ for item in one.repairs]}
        for one in found
    ]


def _error_of(check: Callable[[], object]) -> str | None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - the report says what it is
        return f"{type(error).__name__}: {error}"[:300]
    return None


def _ask_database(services: Services) -> None:
    with services.transaction() as session:
        session.execute(text("select 1 from members limit 1"))


def _print(report: dict[str, Any]) -> None:
    for name, error in report["parts"].items():
        click.echo(f"{name:<12} {'ok' if error is None else error}")
    for lane, counts in sorted(report["outbox"].items()):
        numbers = ", ".join(f"{number} {state}" for state, number in counts.items())
        click.echo(f"outbox/{lane:<12} {numbers}")
    for key, word in (("repaired", "repaired"), ("drift", "differs")):
        for item in report[key]:
            click.echo(f"{word}: {item['subject']}: {', '.join(item['repairs'])}")
    for item in report["elsewhere"]:
        click.echo(f"not from us: {item}")
    click.echo("healthy" if report["healthy"] else "not healthy")
