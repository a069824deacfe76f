"""Polls that the service holds: only so many at once, so that others reach the service too.

Each holds one of the connections that the edge has to the service, for as long as its client likes
and without saying who it is. One too many is passed on as a question that is answered at once.
"""

from dataclasses import replace

from integration.edge.asgi import Reply
from integration.edge.exchange import Exchange
from integration.edge.held_polls import HeldPolls
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.limits.counters import parse

MOST = 64
"""Half of the connections to one upstream (`http_client.py`)."""
MOST_EACH = 16
"""Of one address; of IPv6, where one client has many, of one /64 network. The verifiers of one
process share a poll, so that this is a host with sixteen of them."""
_NETWORK_BYTES = 8


class LongPolls:
    """Passes polls on."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held = HeldPolls(most=MOST, most_each=MOST_EACH)

    async def forward(self, request: Request, route: Route, reply: Reply) -> None:
        """Pass a poll on, without its wish to wait when too many do.

        Raises:
            RefusedError: nothing was sent yet.
        """
        if not request.query:
            await self._exchange.forward(request, route, reply)
            return
        with self._held.place(parse(request.client_address).packed[:_NETWORK_BYTES]) as may_wait:
            asked = request if may_wait else replace(request, query="")
            await self._exchange.forward(asked, route, reply)
