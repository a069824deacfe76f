"""What people see at an address where there is nothing. Programs get the service's problem."""

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Scope

from integration.errors import NotFoundError
from integration.web.page_route import PageRoute


class ForPeople(PageRoute):
    """A route that only exists for somebody who looks at it in a browser."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["path"].endswith("/"):
            # With a slash too many, the router sends people to the page without it.
            return Match.NONE, {}
        if "text/html" not in Request(scope).headers.get("accept", ""):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(route_class=ForPeople)


@router.get("/{path:path}")
def show_nothing() -> Response:
    raise NotFoundError("There is no such page.")
