"""`/sessions/whoami`: Kratos knows the session, our table whether it still means something."""

from integration.edge import member_status
from integration.edge.asgi import Answer, header
from integration.edge.exchange import Exchange
from integration.edge.member_status import MemberStatuses
from integration.edge.requests import Request
from integration.edge.routes import Route


class Whoami:
    """Answers session checks."""

    def __init__(self, exchange: Exchange, statuses: MemberStatuses) -> None:
        self._exchange = exchange
        self._statuses = statuses

    async def answer(self, request: Request, route: Route) -> Answer:
        """Return Kratos' answer, or its "no session" for who may not have one.

        Raises:
            RefusedError: Kratos or the database does not answer.
        """
        answer = self._exchange.judged(await self._exchange.ask(request, route))
        if answer.status >= 300:
            return answer
        identity_id = header(answer.headers, member_status.IDENTITY_HEADER)
        if await self._statuses.is_active(identity_id):
            return answer
        return member_status.no_session(request.id)
