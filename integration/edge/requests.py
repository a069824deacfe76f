"""One request, cleaned and named, as everything behind `app` sees it."""

import asyncio
from dataclasses import dataclass, field

from integration.edge.asgi import RawHeaders, header
from integration.edge.bodies import RequestBody


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose path is canonical.

    Attributes:
        path: As it came over the wire, ASCII.
        query: As it came, without the question mark.
        headers: As they came, names in lower case; never passed on without cleaning.
        client_address: Decided by `client_address.decide`.
        id: Of this request, in logs and in `X-Request-Id`.
        answered: Set once its answer was sent, or will not be.
    """

    method: str
    path: str
    query: str
    headers: RawHeaders
    client_address: str
    id: str
    body: RequestBody
    answered: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)

    @property
    def is_write(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")

    def header(self, name: bytes) -> str | None:
        return header(self.headers, name)
