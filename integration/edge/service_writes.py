"""What a client changes through our own API holds at this edge once it is answered."""

from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.requests import Request
from integration.edge.routes import Route


class ServiceWrites:
    """Passes writes to the service, and hears of what they changed before answering."""

    def __init__(self, exchange: Exchange, epochs: Epochs) -> None:
        self._exchange = exchange
        self._epochs = epochs

    async def write(self, request: Request, route: Route) -> Answer:
        """Return the service's answer.

        Raises:
            RefusedError: the service does not answer.
        """
        answer = await self._exchange.ask(request, route)
        await self._epochs.catch_up()
        return answer
