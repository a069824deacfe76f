"""For Django, synchronous or asynchronous: the member as `request.kleis_member`.

In a module of yours, here `shop/identity.py`, and then `shop/settings.py` and `shop/views.py`:

    verifier = TokenVerifier("https://id.example", "shop")
    member_middleware = make_middleware(verifier)
    require = Require(PermissionClient("https://id.example", api_key))

    MIDDLEWARE = [..., "shop.identity.member_middleware"]

    @require("edit", on="Content:{id}")
    def edit(request, id): ...
"""

from collections.abc import Awaitable, Callable, Collection
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from kleis_client.errors import KleisClientError, TokenMissingError
from kleis_client.member import Member
from kleis_client.permissions import PermissionClient
from kleis_client.problems import problem_of
from kleis_client.requirements import Requirement
from kleis_client.verifier import TokenVerifier

View = Callable[..., Any]
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


class Require:
    """Makes decorators for views that stand behind a middleware of `make_middleware`."""

    def __init__(self, permissions: PermissionClient) -> None:
        self._permissions = permissions

    def __call__(self, name: str, on: str | None = None) -> Callable[[View], View]:
        """Return a decorator; see `Requirement`. Names come from the view's keyword arguments."""
        requirement = Requirement(self._permissions, name, on)

        def decorate(view: View) -> View:
            guard = _guarded_async if iscoroutinefunction(view) else _guarded
            return guard(view, requirement)

        return decorate


def _guarded(view: View, requirement: Requirement) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            requirement.enforce(_member(request), kwargs)
        except KleisClientError as error:
            return refusal(error)
        return view(request, *args, **kwargs)

    return guarded


def _guarded_async(view: View, requirement: Requirement) -> View:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            await requirement.enforce_async(_member(request), kwargs)
        except KleisClientError as error:
            return refusal(error)
        return await view(request, *args, **kwargs)

    return guarded


def _member(request: HttpRequest) -> Member:
    member = getattr(request, "kleis_member", None)
    if not isinstance(member, Member):
        raise TokenMissingError
    return member


def refusal(error: KleisClientError) -> HttpResponse:
    """Return the answer to a refused request."""
    problem = problem_of(error)
    return HttpResponse(problem.body, status=problem.status, headers=problem.headers)


def _authorization(request: HttpRequest) -> str | None:
    value: str | None = request.META.get("HTTP_AUTHORIZATION")
    return value
