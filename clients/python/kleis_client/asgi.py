"""For any ASGI application: the member in the scope, or the request refused before it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any

from kleis_client.errors import KleisClientError, TokenInvalidError, TokenMissingError
from kleis_client.member import Member
from kleis_client.permissions import PermissionClient
from kleis_client.problems import Problem, problem_of
from kleis_client.requirements import Requirement
from kleis_client.verifier import TokenVerifier

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MEMBER = "kleis_member"
"""The name of the member in the scope."""


class MemberMiddleware:
    """Verifies the bearer token of each request and puts the member into `scope["kleis_member"]`.

    A refused request gets 401 with a problem document, or 503 where nobody can tell; a refused
    WebSocket is closed before it opens.

    Args:
        required: With False a request without a token goes on, with None as its member. A token
            that does not count is refused all the same.
        public: Exact paths that need no token, such as `/health`.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: TokenVerifier,
        *,
        required: bool = True,
        public: Collection[str] = (),
    ) -> None:
        self._app, self._verifier = app, verifier
        self._required, self._public = required, frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        optional = not self._required or scope["path"] in self._public
        try:
            member = await member_of_scope(scope, self._verifier, optional=optional)
        except KleisClientError as error:
            await refuse(problem_of(error), scope, receive, send)
            return
        # A copy: what is outside of us should not see who it was.
        await self._app({**scope, MEMBER: member}, receive, send)


async def member_of_scope(
    scope: Scope, verifier: TokenVerifier, *, optional: bool = False
) -> Member | None:
    """Return the member behind a request.

    Raises:
        TokenError, UndecidedError: As `TokenVerifier.verify`; also for more than one
            `Authorization` header, of which two programs could each believe another one.
    """
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise TokenInvalidError("two_headers")
    try:
        return await verifier.verify_header_async(found[0].decode("latin-1") if found else None)
    except TokenMissingError:
        if optional:
            return None
        raise


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem."""
    headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    prefix = "http.response"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http.response"
    await send({"type": f"{prefix}.start", "status": problem.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": problem.body})


class Require:
    """Makes guards for ASGI applications behind `MemberMiddleware`.

    `require("edit", on="Content:{id}")(app)` lets only those through who may; others get 403.

    Args:
        parameters: Where in the scope the names of the address are; by default where Starlette
            puts them, `path_params`.
    """

    def __init__(
        self,
        permissions: PermissionClient,
        *,
        parameters: Callable[[Scope], Mapping[str, object]] | None = None,
    ) -> None:
        self._permissions = permissions
        self._parameters = parameters or _path_params

    def __call__(self, name: str, on: str | None = None) -> Callable[[ASGIApp], ASGIApp]:
        """Return a guard; see `Requirement`."""
        requirement, parameters = Requirement(self._permissions, name, on), self._parameters

        def guard(app: ASGIApp) -> ASGIApp:
            async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["type"] not in {"http", "websocket"}:
                    await app(scope, receive, send)
                    return
                try:
                    await requirement.enforce_async(_member(scope), parameters(scope))
                except KleisClientError as error:
                    await refuse(problem_of(error), scope, receive, send)
                    return
                await app(scope, receive, send)

            return guarded

        return guard


def _member(scope: Scope) -> Member:
    member = scope.get(MEMBER)
    if not isinstance(member, Member):
        raise TokenMissingError
    return member


def _path_params(scope: Scope) -> Mapping[str, object]:
    found: Mapping[str, object] = scope.get("path_params", {})
    return found
