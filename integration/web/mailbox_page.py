"""The mailbox of the embedded stack, for people and for tests. Elsewhere it does not exist."""

import re
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup, escape

from integration.db import mailbox
from integration.db.tables import MailboxMail
from integration.dependencies import UsesServices
from integration.errors import NotFoundError
from integration.web.page_route import PageRoute
from integration.web.rendering import page

router = APIRouter(route_class=PageRoute)

_SHOWN = 50
_ADDRESS = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
# Links of a mail open in the whole window: inside its frame our pages refuse to be shown.
_WHOLE_WINDOW = '<base target="_top">'


@router.get("/dev/mailbox")
def show_mailbox(request: Request, services: UsesServices, to: str | None = None) -> Response:
    """Show the mails: a page newest first, or JSON oldest first where JSON is asked for."""
    if not services.settings.embedded:
        raise NotFoundError("There is no such page.")
    # PostgreSQL has no text with this character in it, and refuses to look for one.
    to = (to or "").replace("\0", "")
    with services.transaction() as session:
        mails = mailbox.mails(session, to=to or None)
    if "application/json" in request.headers.get("accept", ""):
        items = [_to_json(mail) for mail in mails]
        return JSONResponse({"items": items}, headers={"Cache-Control": "no-store"})
    newest = mails[: -_SHOWN - 1 : -1]
    return page(
        "mailbox.html",
        title="Mailbox",
        is_private=True,
        shows_mail=True,
        to=to,
        total=len(mails),
        mails=[_to_view(mail) for mail in newest],
    )


def _to_json(mail: MailboxMail) -> dict[str, str]:
    return {
        "to": mail.recipient,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "at": mail.at.isoformat(),
    }


def _to_view(mail: MailboxMail) -> dict[str, str | datetime | Markup]:
    return {
        "to": mail.recipient,
        "subject": mail.subject,
        "text": with_links(mail.text),
        "html": _WHOLE_WINDOW + mail.html if mail.html else "",
        "at": mail.at,
    }


def with_links(text: str) -> Markup:
    """Return plain text as markup whose http(s) addresses can be clicked."""
    result = Markup()
    end = 0
    for found in _ADDRESS.finditer(text):
        address = found.group()
        result += escape(text[end : found.start()])
        result += Markup('<a href="{0}">{0}</a>').format(address)
        end = found.end()
    return result + escape(text[end:])
