"""For FastAPI: who is calling, as a dependency.

current_member = CurrentMember(verifier)
app = FastAPI(exception_handlers=exception_handlers)

@app.get("/me")
async def me(member: Annotated[Member, Depends(current_member)]) -> str:
    return member.id
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
from kleis_client.problems import problem_of
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
