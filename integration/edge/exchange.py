"""One exchange with Ory or the service: the question passed on, the answer judged."""

import asyncio

from integration.edge.asgi import Answer, Reply, header
from integration.edge.forwarding import Forwarder
from integration.edge.problems import BODY_TOO_SLOW, NOT_FOUND, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.upstream_errors import UpstreamErrors


class Exchange:
    """Asks whom a route names. Internal errors and private addresses end here."""

    def __init__(
        self, forwarder: Forwarder, errors: UpstreamErrors, *, body_seconds: float
    ) -> None:
        self.forwarder = forwarder
        self.errors = errors
        self._body_seconds = body_seconds

    async def forward(self, request: Request, route: Route, reply: Reply) -> None:
        """Pass a request on, and its answer back as it comes.

        Raises:
            RefusedError: nothing was sent yet.
        """
        response = await self.forwarder.ask(
            request, route.upstream, drop_credentials=route.keys is not None
        )
        if route.is_ory and response.status >= 300:
            answer = await self.forwarder.read(response, route.upstream)
            await reply.whole(self.judged(answer))
        else:
            await self.forwarder.stream(response, route.upstream, reply)

    async def ask(
        self,
        request: Request,
        route: Route,
        *,
        body: bytes | None = None,
        query: str | None = None,
    ) -> Answer:
        """Return the whole answer, not judged yet.

        Args:
            body: Instead of the request's own.
            query: Instead of the request's own.

        Raises:
            RefusedError: nobody answered, or too late.
        """
        return await self.forwarder.whole(
            request,
            route.upstream,
            body=body,
            query=query,
            drop_credentials=route.keys is not None,
        )

    def judged(self, answer: Answer) -> Answer:
        """Return an answer that may be shown.

        Raises:
            RefusedError: it points or speaks of what is inside.
        """
        if 300 <= answer.status < 400:
            if self.errors.points_inside(header(answer.headers, b"location") or ""):
                raise RefusedError(NOT_FOUND)
        elif answer.status >= 400:
            refusal = self.errors.refusal_instead_of(answer.status, answer.body)
            if refusal is not None:
                raise RefusedError(refusal)
        return answer

    async def whole_body(self, request: Request) -> bytes:
        """Return the body.

        Raises:
            RefusedError: it is too large, or its sender too slow.
        """
        try:
            async with asyncio.timeout(self._body_seconds):
                return await request.body.read()
        except TimeoutError as error:
            raise RefusedError(BODY_TOO_SLOW) from error
