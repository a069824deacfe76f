"""Kratos and Keto of the embedded stack: how they are migrated, run and found ready."""

from collections.abc import Mapping
from pathlib import Path

import httpx

from integration.launch.programs import Program

NAMESPACES = frozenset({"User", "Platform", "Channel", "Content", "Profile", "Permission"})
_PROBE_TIMEOUT = 2.0


def kratos_migration(binary: Path, dsn: str, environ: Mapping[str, str]) -> Program:
    return Program(
        name="kratos-migrate",
        argv=[binary, "migrate", "sql", "-e", "--yes"],
        environ={**environ, "DSN": dsn},
    )


def keto_migration(binary: Path, configuration: Path, environ: Mapping[str, str]) -> Program:
    return Program(
        name="keto-migrate",
        argv=[binary, "migrate", "up", "-y", "-c", configuration],
        environ={**environ, "SQA_OPT_OUT": "true"},
    )


def kratos(binary: Path, configuration: Path, environ: Mapping[str, str]) -> Program:
    """`--dev`: without it cookies are `Secure`, and a browser sends none over plain http."""
    options: list[str | Path] = [
        "serve",
        "--dev",
        "--sqa-opt-out",
        "--watch-courier",
        "-c",
        configuration,
    ]
    return Program(name="kratos", argv=[binary, *options], environ=environ)


def keto(binary: Path, configuration: Path, environ: Mapping[str, str]) -> Program:
    return Program(
        name="keto",
        argv=[binary, "serve", "-c", configuration],
        environ={**environ, "SQA_OPT_OUT": "true"},
    )


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        return httpx.get(url, timeout=_PROBE_TIMEOUT, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def keto_is_ready(read_url: str) -> bool:
    """Whether Keto has its whole model and its database.

    Its own `/health/ready` is 200 with the database gone.
    """
    try:
        found = httpx.get(f"{read_url}/namespaces", timeout=_PROBE_TIMEOUT, trust_env=False)
        names = {item["name"] for item in found.json().get("namespaces") or []}
    except (httpx.HTTPError, ValueError, KeyError, AttributeError):
        return False
    return names >= NAMESPACES and answers(
        f"{read_url}/relation-tuples?namespace=Platform&page_size=1"
    )
