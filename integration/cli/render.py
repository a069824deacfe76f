"""`kleis render`: configuration of Kratos and Keto for stacks that somebody else runs."""

from pathlib import Path

import click

from integration.cli.context import Environment
from integration.errors import StackError
from integration.launch.configuration import KetoConfiguration, KratosConfiguration
from integration.launch.configuration import render as render_file
from integration.launch.home import CHECKOUT
from integration.launch.openid import read_providers


@click.command()
@click.option("--kratos", type=click.Path(path_type=Path), help="Write kratos.yml here.")
@click.option("--keto", type=click.Path(path_type=Path), help="Write keto.yml here.")
@click.option("--host", default="0.0.0.0", show_default=True, help="Where both listen.")  # noqa: S104
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("/etc"),
    show_default=True,
    help="Holds `kratos/` and `keto/` as the servers see it.",
)
@click.pass_obj
def render(
    environment: Environment, *, kratos: Path | None, keto: Path | None, host: str, folder: Path
) -> None:
    """Fill in kratos.yml and keto.yml for compose, from variables.

    Kratos: KRATOS_DSN, KRATOS_COOKIE_SECRET, KRATOS_CIPHER_SECRET (32 characters),
    KRATOS_DEFAULT_SECRET, KLEIS_HOOK_SECRET, KLEIS_PUBLIC_URL, KLEIS_HOOKS_URL; and, if there
    are OpenID providers to log in with, KLEIS_OIDC_PROVIDERS names the file.
    Keto: KETO_DSN.
    """
    if kratos is not None:
        providers = environment.variables.get("KLEIS_OIDC_PROVIDERS")
        values = KratosConfiguration(
            dsn=_variable(environment, "KRATOS_DSN"),
            public_url=_variable(environment, "KLEIS_PUBLIC_URL").rstrip("/"),
            hooks_url=_variable(environment, "KLEIS_HOOKS_URL").rstrip("/"),
            hook_secret=_variable(environment, "KLEIS_HOOK_SECRET"),
            cookie_secret=_variable(environment, "KRATOS_COOKIE_SECRET"),
            cipher_secret=_variable(environment, "KRATOS_CIPHER_SECRET"),
            default_secret=_variable(environment, "KRATOS_DEFAULT_SECRET"),
            folder=str(folder / "kratos"),
            host=host,
            oidc_providers=read_providers(Path(providers) if providers else None),
        )
        render_file(CHECKOUT / "kratos" / "kratos.yml", values, kratos)
    if keto is not None:
        dsn = _variable(environment, "KETO_DSN")
        rest = KetoConfiguration(dsn=dsn, folder=str(folder / "keto"), host=host)
        render_file(CHECKOUT / "keto" / "keto.yml", rest, keto)


def _variable(environment: Environment, name: str) -> str:
    value = environment.variables.get(name, "")
    if not value:
        raise StackError(f"{name} is not set")
    return value
