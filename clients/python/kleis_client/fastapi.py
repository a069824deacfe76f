"""For FastAPI: who is calling, and whether they may, as dependencies.

In an application of yours:

    current_member = CurrentMember(verifier)
    require = Require(current_member, permissions)
    app = FastAPI(exception_handlers=exception_handlers)

    @app.get("/me")
    async def me(member: Annotated[Member, Depends(current_member)]) -> str:
        return member.id

    @app.put("/articles/{id}", dependencies=[Depends(require("edit", on="Content:{id}"))])
    async def edit(id: str) -> None: ...
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from kleis_client.asgi import MEMBER, member_of_scope
from kleis_client.errors import KleisClientError, TokenMissingError
from kleis_client.member import Member
from kleis_client.permissions import PermissionClient
from kleis_client.problems import problem_of
from kleis_client.requirements import Requirement
from kleis_client.verifier import TokenVerifier


class RefusedError(HTTPException):
    """Carries a refusal to where FastAPI answers.

    With `exception_handlers` the answer is the whole problem document; without them FastAPI makes
    one with nothing but `detail`, which RFC 9457 allows too.
    """

    def __init__(self, error: KleisClientError) -> None:
        self.problem = problem_of(error)
        headers = {
            name: value for name, value in self.problem.headers.items() if name != "content-length"
        }
        super().__init__(self.problem.status, self.problem.detail, headers)


async def answer_refusal(_request: Request, error: Exception) -> Response:
    """Answer with the problem document that a `RefusedError` carries."""
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for nothing else
    return Response(error.problem.body, error.problem.status, error.problem.headers)


exception_handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    RefusedError: answer_refusal
}
"""For `FastAPI(exception_handlers=…)`."""


class BearerScheme(SecurityBase):
    """Names the access token in the API's own description."""

    def __init__(self) -> None:
        self.model = BearerModel(bearerFormat="JWT", description="An access token of Kleis.")
        self.scheme_name = "AccessToken"


class CurrentMember(BearerScheme):
    """A dependency that is the `Member` behind the request's access token.

    Refuses with 401, or 503 where nobody can tell. After `MemberMiddleware` it takes the member
    from there.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__()
        self._verifier = verifier

    async def __call__(self, request: HTTPConnection) -> Member:
        try:
            return await self.of(request)
        except KleisClientError as error:
            raise RefusedError(error) from error

    async def of(self, request: HTTPConnection) -> Member:
        """Return the member.

        Raises:
            TokenError, UndecidedError: As `TokenVerifier.verify`.
        """
        member = request.scope.get(MEMBER) or await member_of_scope(request.scope, self._verifier)
        if not isinstance(member, Member):
            raise TokenMissingError
        return member


class Require:
    """Makes dependencies that are the member, if it may."""

    def __init__(self, current_member: CurrentMember, permissions: PermissionClient) -> None:
        self._current_member, self._permissions = current_member, permissions

    def __call__(self, name: str, on: str | None = None) -> "RequiredMember":
        """Return a dependency; see `Requirement`."""
        return RequiredMember(self._current_member, Requirement(self._permissions, name, on))


class RequiredMember(BearerScheme):
    """A dependency that is the `Member` behind the access token, if it meets a requirement.

    Refuses as `CurrentMember` does, and with 403 who may not.
    """

    def __init__(self, current_member: CurrentMember, requirement: Requirement) -> None:
        super().__init__()
        self._current_member, self._requirement = current_member, requirement

    async def __call__(self, request: HTTPConnection) -> Member:
        try:
            member = await self._current_member.of(request)
            await self._requirement.enforce_async(member, request.path_params)
        except KleisClientError as error:
            raise RefusedError(error) from error
        return member
