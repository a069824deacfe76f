"""What every command may ask for: the settings, read from the environment once and only then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import click
from pydantic import ValidationError

from integration.settings import PREFIX, Settings, StackSettings, refuse_unknown

Model = TypeVar("Model", Settings, StackSettings)


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables `integration.main` read."""

    variables: Mapping[str, str]

    def settings(self) -> Settings:
        """Return what edge, service and worker need.

        Raises:
            click.ClickException: names every variable that is missing, wrong or unknown.
        """
        return self._read(Settings)

    def stack_settings(self) -> StackSettings:
        """Return what the embedded stack needs, with the same errors."""
        return self._read(StackSettings)

    def _read(self, model: type[Model]) -> Model:
        try:
            refuse_unknown(self.variables)
            return model()
        except ValidationError as error:
            raise click.ClickException(_describe(error)) from error
        except ValueError as error:
            raise click.ClickException(str(error)) from error


def _describe(error: ValidationError) -> str:
    """Name what is wrong, without the value: it may be a secret."""
    wrong = (f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
    return "settings: " + "; ".join(wrong) + " (docs/settings.md lists all)"
