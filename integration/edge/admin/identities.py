"""Writes through Kratos' admin paths, as one exchange."""

from integration.edge.admin.writes import AdminWrites
from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.flows import repairs
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.sessions.endings import SessionEndings


class IdentityAdmin:
    """Answers writes below `/admin/identities`, `/admin/sessions` and `/admin/recovery`."""

    def __init__(
        self,
        exchange: Exchange,
        writes: AdminWrites,
        endings: SessionEndings,
        epochs: Epochs,
        *,
        public_url: str,
    ) -> None:
        self._exchange = exchange
        self._writes = writes
        self._endings = endings
        self._epochs = epochs
        self._public_url = public_url

    async def write(self, request: Request, route: Route) -> Answer:
        """Return Kratos' answer to a write, our tables being true to it.

        Raises:
            RefusedError: Kratos was not asked, or its answer may not be shown.
        """

        async def ask_kratos(body: bytes) -> Answer:
            return await self._exchange.ask(request, route, body=body)

        self._endings.require_plain(request)
        # Read first: a slow sender must not hold somebody's lock.
        body = await self._exchange.whole_body(request)
        answer = await self._writes.carried_out(request, body, ask_kratos)
        await self._endings.administered(request, answer)
        await self._epochs.catch_up()
        return repairs.of_creation(self._exchange.judged(answer), self._public_url)
