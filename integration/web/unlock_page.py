"""The link in the mail about a blocked account. Looking changes nothing: the button unlocks."""

from contextlib import closing
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from integration.dependencies import UsesServices
from integration.limits import unlocking
from integration.limits.devices import Devices
from integration.limits.store import LimitStore
from integration.services import Services
from integration.web.page_route import PageRoute
from integration.web.rendering import page

router = APIRouter(route_class=PageRoute)

_ADDRESS = f"/{unlocking.PATH}"
# The edge alone reaches this process, and says who asks.
_CLIENT = "true-client-ip"


@router.get(_ADDRESS)
def show_button(services: UsesServices, ticket: str = "") -> Response:
    if _account(services, ticket) is None:
        return _too_old()
    return page("unlock.html", title="Log in again", is_private=True, ticket=ticket)


@router.post(_ADDRESS)
def unlock(
    request: Request, services: UsesServices, ticket: Annotated[str, Form()] = ""
) -> Response:
    """Lift the blocks for whoever asks from here, and know this browser from now on."""
    identity_id = _account(services, ticket)
    if identity_id is None:
        return _too_old()
    with closing(LimitStore(services.settings)) as store:
        account = store.unlock(identity_id, request.headers.get(_CLIENT, "0.0.0.0"))  # noqa: S104
    response = page(
        "notice.html",
        title="You can log in again",
        is_private=True,
        sentences=("From here, and with your own password. If you forgot it, choose a new one.",),
        links=(("/login", "Log in"), ("/recovery", "I forgot my password")),
    )
    devices = Devices.of(services.settings)
    brought = devices.read(request.headers.get("cookie"))
    response.headers.append("Set-Cookie", devices.cookie(brought, account))
    return response


def _account(services: Services, ticket: str) -> UUID | None:
    secret = services.settings.secret.get_secret_value()
    return unlocking.read(secret, ticket)


def _too_old() -> Response:
    return page(
        "notice.html",
        title="This link does not work any more",
        status=410,
        sentences=("Blocks end by themselves soon. Or get back in with a code by mail.",),
        links=(("/recovery", "Send me a code"), ("/login", "Log in")),
    )
