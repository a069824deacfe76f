"""`/sessions/whoami`: Kratos knows the session, our tables whether it still means something."""

from integration.edge.asgi import Answer
from integration.edge.exchange import Exchange
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.sessions import member_status, second_factor_required
from integration.edge.sessions.current import Sessions


class Whoami:
    """Answers session checks."""

    def __init__(self, exchange: Exchange, sessions: Sessions, *, public_url: str) -> None:
        self._exchange = exchange
        self._sessions = sessions
        self._second_factor_required = second_factor_required.as_json(public_url)

    async def answer(self, request: Request, route: Route) -> Answer:
        """Return Kratos' answer, its "no session" for who may not have one, or its
        `session_aal2_required` for a session that is held.

        Raises:
            RefusedError: Kratos or the database does not answer.
        """
        if request.method == "DELETE":
            # The one method by which this is another of Kratos' paths: of a session named so.
            return self._exchange.judged(await self._exchange.ask(request, route))
        if request.is_write:
            # To Kratos every other one is the same question; gateways ask it by their client's.
            await self._exchange.whole_body(request)
        look = await self._sessions.look(request, request.query)
        if look.answer.status != 200:
            return self._exchange.judged(look.answer)
        if look.known is None:
            return member_status.no_session(request.id)
        return self._second_factor_required if look.known.is_held else look.answer
