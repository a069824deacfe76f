"""For Django, synchronous or asynchronous: the member as `request.kleis_member`.

# shop/identity.py
verifier = TokenVerifier("https://id.example", "shop")
member_middleware = make_middleware(verifier)

# shop/settings.py
MIDDLEWARE = [..., "shop.identity.member_middleware"]
"""

from collections.abc import Awaitable, Callable, Collection
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from kleis_client.errors import KleisClientError, TokenMissingError
from kleis_client.problems import problem_of
from kleis_client.verifier import TokenVerifier

GoesOn = Callable[[KleisClientError, HttpRequest], bool]


def make_middleware(
    verifier: TokenVerifier, *, required: bool = True, public: Collection[str] = ()
) -> Callable[[Any], Any]:
    """Return a middleware that verifies each request's bearer token.

    A refused request gets 401 with a problem document, or 503 where nobody can tell.

    Args:
        required: With False a request without a token goes on, with None as its member: for sites
            that also have pages with Django's own login. A token that does not count is refused all
            the same.
        public: Exact paths that need no token, such as `/health/`.
    """
    open_paths = frozenset(public)

    def goes_on(error: KleisClientError, request: HttpRequest) -> bool:
        is_open = not required or request.path in open_paths
        return is_open and isinstance(error, TokenMissingError)

    @sync_and_async_middleware  # type: ignore[untyped-decorator]
    def member_middleware(get_response: Any) -> Any:
        make = _for_event_loops if iscoroutinefunction(get_response) else _for_threads
        return make(get_response, verifier, goes_on)

    made: Callable[[Any], Any] = member_middleware
    return made


def _for_threads(
    get_response: Callable[[HttpRequest], HttpResponse], verifier: TokenVerifier, goes_on: GoesOn
) -> Callable[[HttpRequest], HttpResponse]:
    def member_middleware(request: HttpRequest) -> HttpResponse:
        request.kleis_member = None
        try:
            request.kleis_member = verifier.verify_header(_authorization(request))
        except KleisClientError as error:
            if not goes_on(error, request):
                return refusal(error)
        return get_response(request)

    return member_middleware


def _for_event_loops(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
    verifier: TokenVerifier,
    goes_on: GoesOn,
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    async def member_middleware(request: HttpRequest) -> HttpResponse:
        request.kleis_member = None
        try:
            request.kleis_member = await verifier.verify_header_async(_authorization(request))
        except KleisClientError as error:
            if not goes_on(error, request):
                return refusal(error)
        return await get_response(request)

    return member_middleware


def refusal(error: KleisClientError) -> HttpResponse:
    """Return the answer to a refused request."""
    problem = problem_of(error)
    return HttpResponse(problem.body, status=problem.status, headers=problem.headers)


def _authorization(request: HttpRequest) -> str | None:
    value: str | None = request.META.get("HTTP_AUTHORIZATION")
    return value
