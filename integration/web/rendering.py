"""Templates, the stylesheet, and the headers every page goes out with."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

ANYWHERE = None
"""Forms may lead anywhere: see `policy`."""


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """The one stylesheet. `version` changes with its text, so browsers may keep it for long."""

    body: bytes
    version: str


@cache
def stylesheet() -> Stylesheet:
    body = resources.files(__package__).joinpath("static", "kleis.css").read_bytes()
    return Stylesheet(body=body, version=hashlib.sha256(body).hexdigest()[:12])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["stylesheet_version"] = stylesheet().version
    return environment


def page(
    template: str,
    *,
    title: str,
    status: int = 200,
    form_targets: tuple[str, ...] | None = (),
    is_private: bool = False,
    shows_mail: bool = False,
    **facts: Any,
) -> HTMLResponse:
    """Render one page.

    Args:
        title: What the page is about, for the window's title.
        form_targets: Origins that forms may end at, besides our own; `ANYWHERE` for no limit.
        is_private: The address carries a secret, so not even our own site is told it.
        shows_mail: The page frames mails, which bring styles of their own.
    """
    body = _environment().get_template(template).render(title=title, **facts)
    headers = {
        "Content-Security-Policy": policy(form_targets, shows_mail=shows_mail),
        "Referrer-Policy": "no-referrer" if is_private else "same-origin",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(body, status, headers)


def policy(form_targets: tuple[str, ...] | None, *, shows_mail: bool = False) -> str:
    """Return the Content-Security-Policy: no scripts, nothing from elsewhere, framed by nobody.

    Chromium holds the redirects that follow a form against `form-action` too. So the place a
    person returns to after logging in must be named, and where an OpenID provider may be next,
    which Kratos alone knows, there is no such limit. What a form says is ours alone: no script
    runs here, and every value is escaped.
    """
    inline = " 'unsafe-inline'" if shows_mail else ""
    rules = [
        "default-src 'none'",
        f"style-src 'self'{inline}",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if shows_mail:
        rules.append("frame-src 'self'")
    if form_targets is not ANYWHERE:
        rules.append(" ".join(("form-action 'self'", *dict.fromkeys(form_targets))))
    return "; ".join(rules)


def redirect(target: str) -> Response:
    """Send the browser elsewhere with a GET."""
    return RedirectResponse(
        target, 303, {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    )


def origin_of(url: str) -> str:
    """Return scheme, host and port of an http(s) address, as a policy names them."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"
