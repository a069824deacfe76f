"""`python -m integration.launch.demo_provider FILE`: what the launcher runs."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from integration.launch.demo_provider.app import make_app
from integration.launch.demo_provider.people import PEOPLE
from integration.launch.demo_provider.provider import Client, DemoProvider
from integration.launch.files import read_json
from integration.launch.ports import HOST


def run(file: Path) -> None:
    """Serve the provider that `file` describes: `issuer`, `client {id, secret, redirect_uri}`.

    It listens on loopback, whatever the file says.
    """
    given = read_json(file)
    client = given["client"]
    provider = DemoProvider(
        given["issuer"],
        Client(client["id"], client["secret"], frozenset({client["redirect_uri"]})),
        PEOPLE,
    )
    port = urlsplit(provider.issuer).port or 0
    uvicorn.run(make_app(provider), host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
