"""What is read of Keto's tuples: bounded lists, true statuses."""

from integration.edge.asgi import Answer
from integration.edge.exchange import Exchange
from integration.edge.problems import RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.tuples import keto_rules


class TupleReads:
    """Answers `/relation-tuples` and `/expand`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def list(self, request: Request, route: Route) -> Answer:
        query = keto_rules.bounded_list_query(request.query)
        answer = await self._exchange.ask(request, route, query=query)
        if answer.status == 500 and keto_rules.has_odd_page_token(query):
            raise RefusedError(keto_rules.BAD_PAGE_TOKEN)
        return self._exchange.judged(answer)

    async def expand(self, request: Request, route: Route) -> Answer:
        answer = self._exchange.judged(await self._exchange.ask(request, route))
        return keto_rules.true_status(answer)
