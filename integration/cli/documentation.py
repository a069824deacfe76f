"""`kleis docs …`: the parts of the documentation that are written by the code itself."""

import inspect
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import click
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from integration.service import openapi
from integration.settings import PREFIX, Settings, StackSettings

_DURATION = TypeAdapter(timedelta)


@click.group()
def docs() -> None:
    """Print parts of the documentation that the code knows best."""


@docs.command("settings")
def settings() -> None:
    """Print docs/settings.md."""
    click.echo(settings_page(), nl=False)


@docs.command("openapi")
def print_openapi() -> None:
    """Print docs/openapi.json."""
    click.echo(json.dumps(openapi(), indent=2, sort_keys=True))


def settings_page() -> str:
    """Return the page of all settings, in Markdown."""
    shared = StackSettings.model_fields.keys() & Settings.model_fields.keys()
    own = {name: field for name, field in StackSettings.model_fields.items() if name not in shared}
    parts = [
        "# Settings",
        (
            "Every setting is an environment variable. Durations are ISO 8601 (`PT15M`, `P1D`); "
            "lists are comma-separated. A `KLEIS_*` name that is not listed here stops the start, "
            "so that a misspelling is noticed. This page is printed by `kleis docs settings`."
        ),
        "## Edge, service and worker",
        "`make up` sets those without a default by itself; what you set wins.",
        *_sections(),
        "## The embedded stack",
        "Read by `make up` alone. The ports of edge, hooks and service above count too.",
        _table(own),
    ]
    return "\n\n".join(parts) + "\n"


def _sections() -> Iterator[str]:
    """Yield what all need, then one section for each subject, as the code has one class."""
    subjects = [base for base in Settings.__bases__ if issubclass(base, BaseSettings)]
    inherited = {name for subject in subjects for name in subject.model_fields}
    yield _table({n: f for n, f in Settings.model_fields.items() if n not in inherited})
    for subject in subjects:
        yield f"### {subject.__name__.removesuffix('Settings')}s"
        yield inspect.getdoc(subject) or ""
        yield _table(subject.model_fields)


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for name, field in fields.items():
        words = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {words} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value: Any = field.default
    if value is None or value in ((), frozenset()):
        return "unset"
    if isinstance(value, timedelta):
        return f"`{_DURATION.dump_python(value, mode='json')}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
