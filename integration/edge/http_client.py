"""The HTTP client of the edge: no cookies, no proxies of the environment, nothing unpacked."""

import aiohttp
from multidict import CIMultiDict

from integration.edge.asgi import RawHeaders

_CONNECTIONS = 512
_CONNECTIONS_PER_UPSTREAM = 128
# Shorter than any upstream keeps an idle connection (uvicorn: 5 s), or a POST would now and
# then meet a connection that is being closed.
_IDLE_SECONDS = 3.0
_MAX_FIELD_BYTES = 32_768
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def open_session(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """Return a new session; only inside a running event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_CONNECTIONS,
            limit_per_host=_CONNECTIONS_PER_UPSTREAM,
            keepalive_timeout=_IDLE_SECONDS,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=timeout,
        skip_auto_headers=_NOT_ADDED,
        max_line_size=_MAX_FIELD_BYTES,
        max_field_size=_MAX_FIELD_BYTES,
    )


def as_text(fields: RawHeaders) -> CIMultiDict[str]:
    """Return header fields in the form the client takes, each one still apart."""
    return CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in fields)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
