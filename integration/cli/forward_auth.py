"""`kleis permission test`: which rule of forward-auth a request falls under."""

import json
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import click
import httpx

from integration.cli.connecting import settings_of
from integration.cli.context import Environment
from integration.edge import canonical
from integration.forward_auth_rules import RulesError, read_rules
from policies.forward_auth import Matched, Need, Permit, Unmatched, find

_CHECK = "/relation-tuples/check/openapi"


@click.command("test")
@click.option(
    "--rules",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file, as in KLEIS_FORWARD_AUTH_RULES.",
)
@click.option("--method", default="GET", help="Of the request.")
@click.option("--url", required=True, help="Of the request: https://host/path.")
@click.option(
    "--subject", type=click.UUID, help="Ask Keto whether this member is let through as well."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def try_rules(
    environment: Environment,
    *,
    rules: Path,
    method: str,
    url: str,
    subject: UUID | None,
    as_json: bool,
) -> None:
    """Tell which rule a request falls under; exit code 1 when it would be denied."""
    found = _find(rules, method.upper(), url)
    shown: dict[str, object] = {
        "rule": found.rule.name if isinstance(found, Matched) else None,
        "needs": _needs(found),
        "allowed": _allowed(environment, found, subject),
    }
    if as_json:
        click.echo(json.dumps(shown))
    else:
        words = {True: "yes", False: "no", None: "depends on who asks"}
        click.echo(f"rule:    {shown['rule'] or 'none'}")
        click.echo(f"needs:   {shown['needs']}")
        click.echo(f"allowed: {words[_as_bool(shown['allowed'])]}")
    if shown["allowed"] is False:
        raise SystemExit(1)


def _find(path: Path, method: str, url: str) -> Matched | Unmatched:
    split = urlsplit(url)
    if not split.netloc:
        raise click.UsageError("a URL is https://host/path")
    try:
        read = read_rules(path)
    except RulesError as error:
        raise click.ClickException(str(error)) from error
    # As it stands: what urlsplit leaves of it is what a proxy would send.
    address = split.path or "/"
    fault = not address.isascii() or canonical.path_fault(address.encode("ascii"))
    if fault:
        return Unmatched.MALFORMED
    return find(read, method=method, host=split.netloc, path=address)


def _needs(found: Matched | Unmatched) -> str:
    if isinstance(found, Unmatched):
        return f"denied to everybody ({found.value})"
    if isinstance(found.need, Permit):
        return f"{found.need.namespace}:{found.need.object}#{found.need.relation}"
    return found.need.value


def _allowed(
    environment: Environment, found: Matched | Unmatched, subject: UUID | None
) -> bool | None:
    if isinstance(found, Unmatched):
        return False
    if found.need is Need.NOTHING:
        return True
    if not isinstance(found.need, Permit) or subject is None:
        return None
    body = {
        "namespace": found.need.namespace,
        "object": found.need.object,
        "relation": found.need.relation,
        "subject_id": str(subject),
    }
    url = str(settings_of(environment).keto_read_url).rstrip("/") + _CHECK
    try:
        answer = httpx.post(url, json=body, timeout=2.0, trust_env=False)
        allowed = answer.json().get("allowed") if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        raise click.ClickException("Keto did not answer.") from error
    if not isinstance(allowed, bool):
        raise click.ClickException("Keto gave no clear answer.")
    return allowed


def _as_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
