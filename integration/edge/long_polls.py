"""Polls that the service holds: only so many at once, so that others reach the service too.

Each holds one of the connections that the edge has to the service, for as long as its client likes
and without saying who it is. One too many is passed on as a question that is answered at once.
"""

from dataclasses import replace

from integration.edge.asgi import Reply
from integration.edge.exchange import Exchange
from integration.edge.requests import Request
from integration.edge.routes import Route

MOST = 64
"""Half of the connections to one upstream (`http_client.py`)."""


class LongPolls:
    """Passes polls on."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held = 0

    async def forward(self, request: Request, route: Route, reply: Reply) -> None:
        """Pass a poll on, without its wish to wait when too many do.

        Raises:
            RefusedError: nothing was sent yet.
        """
        if not request.query:
            await self._exchange.forward(request, route, reply)
        elif self._held >= MOST:
            await self._exchange.forward(replace(request, query=""), route, reply)
        else:
            self._held += 1
            try:
                await self._exchange.forward(request, route, reply)
            finally:
                self._held -= 1
