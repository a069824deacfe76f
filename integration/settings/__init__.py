"""Everything an operator can set, as `KLEIS_*` variables.

Durations are ISO 8601 (`PT15M`). The list with defaults is `docs/settings.md`, written by
`kleis docs settings` and compared with this file by a test. The embedded stack sets most of the
first half by itself; `StackSettings` is what it reads.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, Field, PositiveInt, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from integration.settings.accounts import AccountSettings
from integration.settings.decisions import DecisionSettings
from integration.settings.forms import Networks, Port, Secret
from integration.settings.grants import GrantSettings
from integration.settings.limits import LimitSettings
from integration.settings.sessions import SessionSettings
from integration.settings.tokens import TokenSettings

PREFIX = "KLEIS_"


class Settings(
    AccountSettings,
    SessionSettings,
    TokenSettings,
    LimitSettings,
    DecisionSettings,
    GrantSettings,
):
    """What the edge, the service and the worker need to know."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    public_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4455/"),
        description="Where people and Ory clients reach the edge.",
    )
    database_url: SecretStr = Field(
        description="PostgreSQL of Kleis: `postgresql://user:password@host/kleis`."
    )
    valkey_url: SecretStr = Field(
        description="Valkey or Redis: `redis://host:6379/0`, or `unix:///path/valkey.sock`."
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="Celery's broker, when it is not `KLEIS_VALKEY_URL` (RabbitMQ: `amqp://…`).",
    )
    kratos_public_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4433/"), description="Kratos, public port."
    )
    kratos_admin_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4434/"),
        description="Kratos, admin port. Never let clients reach it.",
    )
    keto_read_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4466/"), description="Keto, read port."
    )
    keto_write_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4467/"),
        description="Keto, write port. Never let clients reach it.",
    )
    keto_opl_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4469/"), description="Keto, OPL syntax port."
    )
    service_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4457/"),
        description="The service (API and pages) as the edge reaches it.",
    )
    edge_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4455/"),
        description="The edge as the service reaches it.",
    )
    hooks_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:4456/"),
        description="The hooks listener as Kratos reaches it.",
    )
    hook_secret: Secret = Field(
        description="Shared with Kratos; travels in `X-Kleis-Hook-Secret`. At least 16 characters."
    )

    secret: Secret = Field(
        description="Keys for cookies, tickets and keyed hashes are derived from it; the same for "
        "every process. At least 16 characters."
    )

    bind: str = Field(default="127.0.0.1", description="Address the Kleis processes listen on.")
    port_edge: Port = Field(default=4455, description="Port of the edge.")
    port_hooks: Port = Field(default=4456, description="Port of the private hooks listener.")
    port_service: Port = Field(default=4457, description="Port of the service.")

    trusted_proxies: Networks = Field(
        default=(),
        description="Networks whose `Forwarded`/`X-Forwarded-For` is believed; empty: nobody's.",
    )
    max_body_bytes: PositiveInt = Field(
        default=1_048_576, description="Largest request body the edge forwards, in bytes."
    )
    max_import_bytes: PositiveInt = Field(
        default=5_242_880,
        description="Largest body on `/admin/…`, in bytes: a batch of identities. Kratos takes "
        "5 MiB.",
    )
    connect_timeout: timedelta = Field(
        default=timedelta(seconds=1),
        gt=timedelta(0),
        description="Longest wait for a connection to Kratos, Keto or the service.",
    )
    upstream_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="Longest wait for an answer of Kratos or Keto to a call of ours.",
    )
    forward_timeout: timedelta = Field(
        default=timedelta(seconds=30),
        gt=timedelta(0),
        lt=timedelta(seconds=60),
        description="Longest a forwarded request may take. Kratos gives up at 60 s.",
    )
    database_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="Longest wait for a connection, a lock or a statement of PostgreSQL.",
    )

    mail_from: str = Field(
        default="Kleis <no-reply@kleis.invalid>", description="Sender of every mail."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Where mail goes: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465`. "
        "Unset in the embedded stack: the mailbox page.",
    )
    events_url: AnyHttpUrl | None = Field(
        default=None,
        description="Where events for the application are posted (Standard Webhooks). "
        "Unset: they wait in the outbox.",
    )
    events_secret: Secret | None = Field(
        default=None, description="Signs the events; needed with `KLEIS_EVENTS_URL`."
    )
    max_attempts: PositiveInt = Field(
        default=12, description="Attempts at one effect before it is parked for an operator."
    )
    relay_period: timedelta = Field(
        default=timedelta(seconds=2),
        gt=timedelta(0),
        description="How often due effects are looked for; normally they start at once.",
    )
    sweep_period: timedelta = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="How often members that are due to expire are looked for.",
    )
    reconcile_period: timedelta = Field(
        default=timedelta(minutes=5),
        gt=timedelta(0),
        description="How often Kratos, Keto and our tables are compared.",
    )
    reconcile_grace: timedelta = Field(
        default=timedelta(minutes=1),
        ge=timedelta(0),
        description="Identities younger than this are left to their own hooks.",
    )
    embedded: bool = Field(
        default=False,
        description="Set by `make up`: the mailbox page exists. Never set it on a real site.",
    )
    log_level: Annotated[str, StringConstraints(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )
    log_format: Annotated[str, StringConstraints(pattern="^(json|console)$")] = Field(
        default="json", description="`json`, or `console` for people."
    )


class StackSettings(BaseSettings):
    """What the embedded stack (`make up`) reads besides `Settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    home: Path = Field(
        default=Path(".kleis"),
        description="State of the embedded stack; delete the folder for a fresh start.",
    )
    cache: Path | None = Field(
        default=None,
        description="Servers built once. Unset: the user's cache folder + `/kleis`.",
    )
    kratos_bin: Path | None = Field(default=None, description="Use this Kratos; do not build one.")
    keto_bin: Path | None = Field(default=None, description="Use this Keto; do not build one.")
    bcrypt_cost: int = Field(
        default=12,
        ge=4,
        le=16,
        description="Cost of a password hash in Kratos; 12 takes about 0.3 s. Lower: tests only.",
    )
    port_edge: Port = Field(default=4455, description="Port of the edge.")
    port_hooks: Port = Field(default=4456, description="Port of the private hooks listener.")
    port_service: Port = Field(default=4457, description="Port of the service.")
    port_kratos_public: Port = Field(default=4433, description="Kratos, public port.")
    port_kratos_admin: Port = Field(default=4434, description="Kratos, admin port.")
    port_keto_read: Port = Field(default=4466, description="Keto, read port.")
    port_keto_write: Port = Field(default=4467, description="Keto, write port.")
    port_keto_metrics: Port = Field(default=4468, description="Keto, metrics port.")
    port_keto_opl: Port = Field(default=4469, description="Keto, OPL syntax port.")
    port_oidc: Port = Field(default=4459, description="Demo OpenID provider.")
    demo_provider: bool = Field(
        default=True,
        description=(
            "Run a demo OpenID provider, where anybody can be anybody. Only where "
            "`KLEIS_PUBLIC_URL` is on loopback; never in docker compose."
        ),
    )
    oidc_providers: Path | None = Field(
        default=None,
        description="File with the OpenID providers to log in with; `kleis render` reads it too.",
    )


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Refuse to start on a misspelt variable, which would else be ignored.

    Raises:
        ValueError: names every `KLEIS_*` variable that no setting reads.
    """
    known = {
        PREFIX + name.upper() for model in (Settings, StackSettings) for name in model.model_fields
    }
    ours = {name for name in environ if name.startswith(PREFIX)}
    if unknown := sorted(ours - known):
        raise ValueError(f"unknown settings: {', '.join(unknown)} (docs/settings.md lists all)")
