"""`whoami` while nothing changed: the one request that comes with every page of every application.

It is answered before anything else is made of the request; whatever is not plainly harmless takes
the long way. One line a second is logged of all of them.
"""

import asyncio

import structlog

from integration.edge import headers
from integration.edge.asgi import RawHeaders, Scope, Send
from integration.edge.sessions.cache import SessionCache, credential_key

log = structlog.get_logger()

PATH = b"/sessions/whoami"
_MOST_FIELDS = 40
_MOST_BYTES = 16_384
_LOG_SECONDS = 1.0
# Fields that change what the others mean, or announce a body.
_UNUSUAL = frozenset({b"transfer-encoding", b"content-length", b"expect", b"upgrade"})
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"close"})


class HotWhoami:
    """Answers from the cache, or leaves the request to others."""

    def __init__(self, cache: SessionCache) -> None:
        self._cache = cache
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None

    async def answered(self, scope: Scope, send: Send) -> bool:
        """Answer a session check; False when this is none, or memory does not do."""
        if scope["raw_path"] != PATH or scope["query_string"] or scope["method"] != "GET":
            return False
        found = self.at_once(scope["headers"]) if scope["http_version"] == "1.1" else None
        if found is None:
            return False
        start, body = found
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": body})
        return True

    def at_once(self, fields: RawHeaders) -> tuple[RawHeaders, bytes] | None:
        """Return header and body of the 200 to a session check by HTTP/1.1; None as `answered`."""
        if not _is_plain(fields):
            return None
        key = credential_key(fields)
        entry = None if key is None else self._cache.get(key)
        if entry is None or entry.known.is_held:
            return None
        self._count()
        request_id = (b"x-request-id", headers.request_id(fields).encode())
        return [*entry.ready, request_id], entry.answer.body

    def _count(self) -> None:
        self._answered += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LOG_SECONDS, self._log)

    def _log(self) -> None:
        log.info("session_checks", route="kratos.whoami", status=200, count=self._answered)
        self._answered, self._timer = 0, None


def _is_plain(fields: RawHeaders) -> bool:
    """Tell whether nothing in a header could be read in two ways."""
    named = dict(fields)
    return (
        len(named) == len(fields) <= _MOST_FIELDS
        and b"host" in named
        and _UNUSUAL.isdisjoint(named)
        and named.get(b"connection", b"close").lower() in _PLAIN_CONNECTION
        and sum(map(len, named.values())) <= _MOST_BYTES
    )
