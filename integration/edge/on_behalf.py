"""The service asks on behalf of a client: then the client's address counts, not the service's."""

import time

from integration import on_behalf
from integration.edge.asgi import RawHeaders

_HEADER = on_behalf.HEADER.encode()


def client_address(headers: RawHeaders, secret: str) -> str | None:
    """Return the address that the service vouches for; None for every other request."""
    given = [value for name, value in headers if name == _HEADER]
    if len(given) != 1:
        return None
    return on_behalf.read(secret, given[0].decode("latin-1"), time.time())
