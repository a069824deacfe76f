"""Further OpenID providers for tests: the demo's code on a port of their own, in a thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
import yaml

from integration.launch.demo_provider.app import make_app
from integration.launch.demo_provider.provider import Client, DemoProvider
from tests.private_stack import PrivateStack, free_ports

SECRET = 'shared-with-kratos: {yes} $and "quoted"'


def provider_for(stack: PrivateStack, name: str, **options: Any) -> DemoProvider:
    """Return a provider that signs people in for a stack that is still to start."""
    [port] = free_ports(1)
    edge = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_EDGE']}"
    callback = f"{edge}/self-service/methods/oidc/callback/{name}"
    client = Client(f"kleis at {name}", SECRET, frozenset({callback}))
    return DemoProvider(f"http://127.0.0.1:{port}", client, {}, **options)


def tell(stack: PrivateStack, **providers: DemoProvider) -> None:
    """Name providers to a stack that is still to start."""
    given = [
        {
            "id": name,
            "provider": "generic",
            "label": f"The {name}",
            "client_id": f"kleis at {name}",
            "client_secret": SECRET,
            "issuer_url": provider.issuer,
            "scope": ["email", "profile"],
            "claims_source": "userinfo",
        }
        for name, provider in providers.items()
    ]
    file = stack.output.with_name("providers.yml")
    file.write_text(yaml.safe_dump({"providers": given}))
    stack.environ["KLEIS_OIDC_PROVIDERS"] = str(file)


@contextmanager
def served(provider: DemoProvider) -> Iterator[DemoProvider]:
    """Run a provider for the time of a block."""
    port = int(provider.issuer.rpartition(":")[2])
    config = uvicorn.Config(make_app(provider), host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join()
