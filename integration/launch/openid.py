"""Which OpenID providers Kratos is told of: those of the operator's file, and the demo."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from integration.errors import StackError
from integration.launch.files import write_json
from integration.launch.home import CHECKOUT
from integration.launch.ports import HOST
from integration.launch.programs import Program, bare
from integration.settings import StackSettings

DEMO = "demo"
_LOOPBACK = frozenset({HOST, "localhost", "::1"})


class Provider(BaseModel):
    """One entry of Kratos' `selfservice.methods.oidc.config.providers`.

    What is not named here Kratos knows, and checks when it starts.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    # Part of each credential's name, `<id>:<subject>`, and of the address people come back to.
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{1,39}$")
    provider: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    issuer_url: str | None = None
    auth_url: str | None = None
    token_url: str | None = None

    @field_validator("issuer_url", "auth_url", "token_url")
    @classmethod
    def _is_private(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme != "https" and not is_loopback(url):
            raise ValueError("must be https: whoever can change its answers can be anybody")
        return url


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    providers: tuple[Provider, ...]


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo provider of one start."""

    issuer: str
    client_secret: str
    redirect_uri: str


def read_providers(path: Path | None) -> tuple[dict[str, Any], ...]:
    """Return the providers of an operator's file, as Kratos takes them.

    Raises:
        StackError: what is wrong, without any value: some are secrets.
    """
    if path is None:
        return ()
    try:
        given = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise StackError(f"{path}: {_faults(error)}") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise StackError(f"{path} cannot be read: {type(error).__name__}") from None
    names = [provider.id for provider in given.providers]
    if len(set(names)) != len(names):
        raise StackError(f"{path}: each provider needs an id of its own")
    return tuple(provider.model_dump(exclude_none=True) for provider in given.providers)


def all_providers(settings: StackSettings, demo: Demo | None) -> tuple[dict[str, Any], ...]:
    """Return the operator's providers and the demo.

    Raises:
        StackError: as `read_providers`; or one of the file has the demo's id.
    """
    path = settings.oidc_providers
    given = read_providers(CHECKOUT / path.expanduser() if path else None)
    if demo is None:
        return given
    if any(provider["id"] == DEMO for provider in given):
        raise StackError(f"{settings.oidc_providers}: the id `{DEMO}` is that of the demo provider")
    return (*given, as_provider(demo))


def demo_for(settings: StackSettings, public_url: str) -> Demo | None:
    """Return the demo to run; None: it is switched off, or others can reach this site."""
    if not settings.demo_provider or not is_loopback(public_url):
        return None
    return Demo(
        issuer=demo_issuer(settings),
        client_secret=secrets.token_hex(16),
        redirect_uri=f"{public_url.rstrip('/')}/self-service/methods/oidc/callback/{DEMO}",
    )


def demo_issuer(settings: StackSettings) -> str:
    return f"http://{HOST}:{settings.port_oidc}"


def as_provider(demo: Demo) -> dict[str, Any]:
    """Return the demo as Kratos is told of it."""
    return {
        "id": DEMO,
        "provider": "generic",
        "label": "Demo provider",
        "client_id": "kleis",
        "client_secret": demo.client_secret,
        "issuer_url": demo.issuer,
        "scope": ["email", "profile"],
    }


def program(demo: Demo, file: Path, environ: Mapping[str, str]) -> Program:
    """Write what the demo needs to know to `file`, and return how it is run."""
    told = as_provider(demo)
    client = {
        "id": told["client_id"],
        "secret": demo.client_secret,
        "redirect_uri": demo.redirect_uri,
    }
    write_json(file, {"issuer": demo.issuer, "client": client})
    return Program(
        name="demo-provider",
        argv=[sys.executable, "-m", __package__ + ".demo_provider", file],
        environ=bare(environ),
    )


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(step) for step in fault['loc']) or 'the file'}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    )
