"""Kratos' `img`, `text` and `a` nodes: things to look at, copy or follow."""

import re
from typing import Any
from urllib.parse import urlsplit

from integration.ory.kratos_flows import Node
from integration.web import words
from integration.web.views import Exhibit, Link, Picture, Secrets

_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
_EDGE_PIXELS = 256
_USED_CODE = 1050014


def exhibit_of(node: Node) -> Exhibit | None:
    """Return what a node shows, or None when it shows nothing we let on a page."""
    if node.type == "img":
        return _picture(node)
    if node.type == "text":
        return _secrets(node)
    if node.type == "a":
        return _link(node)
    return None


def is_web_address(url: str) -> bool:
    """Tell whether a link may lead there: a path of ours, or http(s), nothing that runs."""
    if url.startswith("/"):
        return not url.startswith(("//", "/\\"))
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _picture(node: Node) -> Picture | None:
    source = str(node.attributes.get("src", ""))
    if not _PICTURE.fullmatch(source):
        return None
    return Picture(
        source=source,
        label=words.caption(node.meta.label),
        width=_pixels(node.attributes.get("width")),
        height=_pixels(node.attributes.get("height")),
    )


def _secrets(node: Node) -> Secrets | None:
    text = node.attributes.get("text")
    if not isinstance(text, dict):
        return None
    context = text.get("context")
    listed = context.get("secrets") if isinstance(context, dict) else None
    items = tuple(_listed(listed)) if isinstance(listed, list) else (str(text.get("text", "")),)
    items = tuple(item for item in items if item)
    return Secrets(label=words.caption(node.meta.label), items=items) if items else None


def _listed(secrets: list[Any]) -> list[str]:
    """Name each backup code; of a used one Kratos only tells when that was."""
    return [
        "used" if item.get("id") == _USED_CODE else str(item.get("text", ""))
        for item in secrets
        if isinstance(item, dict)
    ]


def _link(node: Node) -> Link | None:
    target = str(node.attributes.get("href", ""))
    if not is_web_address(target):
        return None
    title = node.attributes.get("title")
    text = title.get("text", "") if isinstance(title, dict) else ""
    return Link(target=target, label=str(text) or words.caption(node.meta.label))


def _pixels(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= 1024 else _EDGE_PIXELS
