"""Where pages and flows are. Addresses that came with a request are checked here, or dropped."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from integration.ory.kratos_flows import FlowKind

PAGE_OF = {
    FlowKind.LOGIN: "/login",
    FlowKind.REGISTRATION: "/registration",
    FlowKind.VERIFICATION: "/verification",
    FlowKind.RECOVERY: "/recovery",
    FlowKind.SETTINGS: "/account/settings",
}
_MAX_CHARACTERS = 2048
_FLOW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CODE = re.compile(r"[0-9]{6}")
_PRINTABLE = re.compile(r"[!-~]+")
_CHOICES = {"refresh": frozenset({"true"}), "aal": frozenset({"aal1", "aal2"})}


def start_url(public_url: str, kind: FlowKind, query: Mapping[str, str]) -> str:
    """Return where a browser starts a flow, with what may be passed on of a page's query."""
    wanted = {}
    if return_to := safe_return_to(query.get("return_to", "")):
        wanted["return_to"] = return_to
    if kind is FlowKind.LOGIN:
        wanted |= {
            name: query[name] for name, values in _CHOICES.items() if query.get(name) in values
        }
    start = f"{public_url.rstrip('/')}/self-service/{kind}/browser"
    return f"{start}?{urlencode(wanted)}" if wanted else start


def safe_return_to(url: str) -> str:
    """Return the address if a browser could only read it one way, else nothing.

    Whether a person may be sent there, Kratos decides by its list of allowed addresses.
    """
    if len(url) > _MAX_CHARACTERS or not _PRINTABLE.fullmatch(url) or "\\" in url:
        return ""
    if url.startswith("/"):
        return "" if url.startswith("//") else url
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises ValueError when it is not a number
    except ValueError:
        return ""
    is_plain = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    return url if is_plain else ""


def with_return_to(path: str, return_to: str) -> str:
    """Return one of our paths that leads on to `return_to`, where that is safe."""
    safe = safe_return_to(return_to)
    return f"{path}?{urlencode({'return_to': safe})}" if safe else path


def flow_id(value: str) -> str | None:
    """Return what may be the id of a flow or an error of Kratos, else None."""
    return value if _FLOW_ID.fullmatch(value) else None


def code(value: str) -> str:
    """Return what may be a code from a mail, else nothing."""
    return value if _CODE.fullmatch(value) else ""
