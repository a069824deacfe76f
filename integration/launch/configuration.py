"""`kratos/kratos.yml` and `keto/keto.yml` with their placeholders filled in.

One source for the embedded stack and for compose (`kleis render`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from integration.errors import StackError
from integration.launch.files import write_private

_PLAIN = re.compile(r"[A-Za-z0-9_./:@?&=%+~,*-]+")
"""Characters that mean nothing to YAML inside a value, quoted or not. No blank, no `#`."""


@dataclass(frozen=True, slots=True)
class KratosConfiguration:
    """Values of the placeholders in `kratos/kratos.yml`; each field is one, in capitals.

    Attributes:
        public_url, hooks_url: Without a slash at the end.
        cipher_secret: Exactly 32 characters.
        folder: Absolute path of the `kratos/` folder as Kratos sees it.
        hash_duration: How long one hash takes, as Go writes durations.
        oidc_providers: As Kratos takes them; those without a mapper of their own get ours.
    """

    dsn: str
    public_url: str
    hooks_url: str
    hook_secret: str
    cookie_secret: str
    cipher_secret: str
    default_secret: str
    folder: str
    host: str = "127.0.0.1"
    port_public: int = 4433
    port_admin: int = 4434
    bcrypt_cost: int = 12
    hash_duration: str = "300ms"
    oidc_providers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class KetoConfiguration:
    """Values of the placeholders in `keto/keto.yml`; each field is one, in capitals."""

    dsn: str
    folder: str
    host: str = "127.0.0.1"
    port_read: int = 4466
    port_write: int = 4467
    port_metrics: int = 4468
    port_opl: int = 4469


def render(source: Path, values: KratosConfiguration | KetoConfiguration, target: Path) -> None:
    """Write `source` with `values` to `target`, readable by its owner alone.

    Raises:
        StackError: a value could be read as more than a value, or a placeholder has none.
    """
    filled = {
        name.upper(): _plain(name, value)
        for name, value in asdict(values).items()
        if name != "oidc_providers"
    }
    if isinstance(values, KratosConfiguration):
        filled["OIDC_PROVIDERS"] = _with_mapper(values)
    try:
        text = Template(source.read_text(encoding="utf-8")).substitute(filled)
    except KeyError as missing:
        raise StackError(f"{source} has a placeholder that nothing fills: {missing}") from None
    except ValueError as error:
        raise StackError(f"{source} cannot be filled in: {error}") from None
    write_private(target, text)


def is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None


def _with_mapper(values: KratosConfiguration) -> str:
    """Return the providers in JSON, which YAML takes as it is, whatever characters they hold."""
    mapper = {"mapper_url": f"file://{values.folder}/oidc/claims.jsonnet"}
    return json.dumps([mapper | dict(provider) for provider in values.oidc_providers])


def _plain(name: str, value: object) -> str:
    text = str(value)
    if not is_plain(text):
        # The value may be a secret: only its name is told.
        raise StackError(
            f"the value for {name.upper()} has characters that a configuration file cannot "
            "carry: use letters, digits and . _ ~ / : @ ? & = % + , * -"
        )
    return text
