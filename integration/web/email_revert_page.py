"""The link in the mail to an old address. Looking changes nothing: the button takes it back."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from integration.dependencies import UsesServices
from integration.errors import ConflictError, NotFoundError
from integration.members.email_changes import asking, tickets
from integration.web.page_route import PageRoute
from integration.web.rendering import page
from policies.email_changes import State

router = APIRouter(route_class=PageRoute)

_ADDRESS = f"/{tickets.PATH}"


@router.get(_ADDRESS)
def show_button(services: UsesServices, ticket: str = "") -> Response:
    if not asking.is_of_use(services, ticket):
        return _too_late()
    title = "Take the change of your address back"
    return page("email_revert.html", title=title, is_private=True, ticket=ticket)


@router.post(_ADDRESS)
def revert(services: UsesServices, ticket: Annotated[str, Form()] = "") -> Response:
    try:
        state = asking.revert(services, ticket)
    except (ConflictError, NotFoundError):
        return _too_late()
    if state is State.LOST:
        return page(
            "notice.html",
            title="That address is taken",
            status=409,
            is_private=True,
            sentences=(
                "It belongs to another account by now. Everybody was logged out of yours.",
                "Please ask the people who run this site for help.",
            ),
            links=(("/", "Start page"),),
        )
    return page(
        "notice.html",
        title="Your old address is back",
        is_private=True,
        sentences=(
            "Everybody is logged out of your account, and its old password does not work any more.",
            "Choose a new one now: we send a code to your address.",
        ),
        links=(("/recovery", "Choose a new password"),),
    )


def _too_late() -> Response:
    return page(
        "notice.html",
        title="This link does not work any more",
        status=410,
        is_private=True,
        sentences=("It was used already, or is too old.",),
        links=(("/recovery", "Get back into my account"), ("/", "Start page")),
    )
