"""Header fields on their way through: what is dropped, and what is set here.

Kratos believes `True-Client-IP`, `Cf-Connecting-IP`, `X-Real-IP`, `X-Forwarded-*` and `Cf-Ip*`
from anybody; the first of these wins and is the only one its hooks see, so it is ours.
Source: the running server, v1.3.1; hop-by-hop fields: RFC 9110, section 7.6.1.
"""

import os
import re
from collections.abc import Iterable
from functools import lru_cache

from integration.edge.asgi import RawHeaders
from integration.edge.problems import Refusal

HOST_NEEDED = Refusal(400, "host_malformed", "A request names its host once.")
TRANSFER_CODING = Refusal(
    501, "transfer_coding_unknown", "The only transfer coding understood here is chunked."
)

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    }
)
_ABOUT_THE_CLIENT = frozenset(
    {
        b"client-ip",
        b"expect",
        b"fastly-client-ip",
        b"forwarded",
        b"host",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-method-override",
        b"x-real-ip",
        b"x-request-id",
    }
)
_ABOUT_THE_CLIENT_PREFIXES = (
    b"cf-",
    b"ory-base-url-",
    b"x-envoy-",
    b"x-forwarded",
    b"x-http-method",
    b"x-kleis-",
    b"x-original-",
    b"x-rewrite-",
)
_ABOUT_THE_SERVER = frozenset({b"date", b"server", b"x-powered-by", b"x-request-id", b"via"})
_NEVER_SHOWN = _HOP_BY_HOP | _ABOUT_THE_SERVER
_NOTHING: frozenset[bytes] = frozenset()
_LONGEST_REMEMBERED = 64
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}\Z")
_OUR_COOKIE = re.compile(rb"\s*(?:__(?:Host|Secure)-)?kleis_", re.IGNORECASE)

SESSION_FIELDS = frozenset({b"x-session-token", b"x-session-cookie", b"authorization"})
_SESSION_COOKIE = re.compile(rb"\s*ory_kratos_session\s*=")

MAX_HEADERS = 128
MAX_HEADER_BYTES = 65_536


def are_too_large(headers: RawHeaders) -> bool:
    """Tell whether there are more fields or bytes than anybody behind us should read."""
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
    return len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES


def framing_fault(headers: RawHeaders, *, http_version: str) -> Refusal | None:
    """Return why a header says something about the message that could be read in two ways.

    The HTTP parser has refused two lengths, a length beside chunks, and folded lines.
    """
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if hosts > 1 or (hosts == 0 and http_version != "1.0"):
        return HOST_NEEDED
    if b"transfer-encoding" not in names:
        return None
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return None if codings == [b"chunked"] else TRANSFER_CODING


def request_id(headers: RawHeaders) -> str:
    """Return the caller's request id when it is harmless, else a new one."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.match(given[0]):
        return given[0].decode()
    return os.urandom(16).hex()


def upwards(headers: RawHeaders, *, keep_our_cookies: bool, drop_credentials: bool) -> RawHeaders:
    """Return what may be passed on of a request's fields, without length and host.

    Args:
        keep_our_cookies: False for Ory: Kratos refuses a native flow that has any cookie.
        drop_credentials: True where an API key was the credential; it ends here.
    """
    named = _named_by_connection(headers)
    kept: RawHeaders = []
    for name, value in headers:
        plain = _known_name(name) if len(name) <= _LONGEST_REMEMBERED else _accepted_name(name)
        if plain is None or plain in named:
            continue
        if drop_credentials and plain in (b"authorization", b"cookie"):
            continue
        if plain == b"cookie" and not keep_our_cookies:
            value = _foreign_cookies(value)  # noqa: PLW2901
            if not value:
                continue
        kept.append((name, value))
    return kept


def _accepted_name(name: bytes) -> bytes | None:
    """Return the one form of a request field's name, or None when it is not passed on."""
    plain = name.lower().replace(b"_", b"-")
    is_refused = (
        plain in _HOP_BY_HOP
        or plain in _ABOUT_THE_CLIENT
        or plain == b"content-length"
        or plain.startswith(_ABOUT_THE_CLIENT_PREFIXES)
    )
    return None if is_refused else plain


# Clients send the same names again and again; a flood of others only makes it forget.
_known_name = lru_cache(512)(_accepted_name)


def _foreign_cookies(value: bytes) -> bytes:
    pairs = [pair for pair in value.split(b";") if not _OUR_COOKIE.match(pair)]
    return b";".join(pairs).strip()


def without_session(headers: RawHeaders) -> RawHeaders:
    """Return a request's fields without what Kratos recognises a session by."""
    kept: RawHeaders = []
    for name, value in headers:
        if name in SESSION_FIELDS:
            continue
        if name == b"cookie":
            pairs = [pair for pair in value.split(b";") if not _SESSION_COOKIE.match(pair)]
            value = b";".join(pairs).strip()  # noqa: PLW2901
            if not value:
                continue
        kept.append((name, value))
    return kept


def session_cookies(headers: RawHeaders) -> list[bytes]:
    """Return every `ory_kratos_session=...` of a request: there may be several of other paths."""
    pairs = (pair for name, value in headers if name == b"cookie" for pair in value.split(b";"))
    return [pair.strip() for pair in pairs if _SESSION_COOKIE.match(pair)]


def downwards(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return what a client may see of an answer's fields. Each `Set-Cookie` stays apart."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(lowered)
    return [
        (name, value) for name, value in lowered if name not in _NEVER_SHOWN and name not in named
    ]


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """Return what `Connection` declares to be of this connection alone. Names in lower case."""
    said = [value for name, value in headers if name == b"connection"]
    if not said:
        return _NOTHING
    return frozenset(option.strip().lower() for value in said for option in value.split(b","))


def wants_html(accept: str | None) -> bool:
    """Tell whether `text/html` is the first thing asked for, as browsers do."""
    return (accept or "").split(",")[0].partition(";")[0].strip().lower() == "text/html"
