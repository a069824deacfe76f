"""Passing requests on, and answers back, without holding either in memory unless asked to.

Redirects are the client's to follow, cookies are nobody's here, bodies are not unpacked.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import structlog
from yarl import URL

from integration.edge import headers, http_client
from integration.edge.asgi import Answer, RawHeaders, Reply
from integration.edge.bodies import ClientGoneError
from integration.edge.problems import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    UPSTREAM_BROKEN,
    UPSTREAM_DOWN,
    UPSTREAM_TIMEOUT,
    RefusedError,
)
from integration.edge.questions import Questions
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.upstream_connections import MAX_ANSWER_BYTES
from integration.edge.upstream_fields import UpstreamFields, target
from integration.settings import Settings

log = structlog.get_logger()

_SMALL_BODY_BYTES = 65_536


class Forwarder:
    """Asks Ory and the service on a request's behalf. Open between `start` and `close`."""

    def __init__(self, settings: Settings) -> None:
        self._fields = UpstreamFields(settings)
        self._timeout = aiohttp.ClientTimeout(
            total=settings.forward_timeout.total_seconds(),
            sock_connect=settings.connect_timeout.total_seconds(),
        )
        self._session: aiohttp.ClientSession | None = None
        self._questions = Questions(settings, self._fields)

    async def start(self) -> None:
        self._session = http_client.open_session(self._timeout)

    async def close(self) -> None:
        self._questions.close()
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        request: Request,
        upstream: Upstream,
        *,
        body: bytes | None = None,
        query: str | None = None,
        drop_credentials: bool = False,
    ) -> aiohttp.ClientResponse:
        """Pass a request on and return the answer as soon as its header is there.

        The caller reads it with `read` or `stream`, which release it.

        Args:
            body: What was read already; None streams the request's own.
            query: Instead of the request's own.

        Raises:
            RefusedError: nobody answered, too late, or the body was too large.
            ClientGoneError: the client left while sending.
        """
        fields = self._fields.upwards(request, upstream, drop_credentials=drop_credentials)
        if body is None:
            body = await self._read_if_small(request)
        if body is None and request.body.declared_bytes:
            fields.append((b"content-length", str(request.body.declared_bytes).encode()))
        data = body if body is not None else _streamed(request)
        named = target(request.path, request.query if query is None else query)
        url = URL(f"{self._fields.bases[upstream]}{named}", encoded=True)
        return await self._send(request, url, fields, data)

    async def whole(
        self,
        request: Request,
        upstream: Upstream,
        *,
        body: bytes | None = None,
        query: str | None = None,
        drop_credentials: bool = False,
    ) -> Answer:
        """Pass a request on and return the whole answer, its header cleaned. As `ask` otherwise.

        Raises:
            RefusedError: also when the answer is too large to judge.
        """
        if body is None:
            body = await self._read_if_small(request)
        if request.method == "HEAD" or (body is None and request.body.is_expected):
            response = await self.ask(
                request, upstream, body=body, query=query, drop_credentials=drop_credentials
            )
            return await self.read(response, upstream)
        fields = self._fields.upwards(request, upstream, drop_credentials=drop_credentials)
        named = target(request.path, request.query if query is None else query)
        return await self._questions.ask(request.method, upstream, named, fields, body)

    async def _read_if_small(self, request: Request) -> bytes | None:
        """Read a body that is worth holding: the HTTP client can then send it once more, when
        the connection it had kept turns out to be closed."""
        if not 0 < (request.body.declared_bytes or 0) <= _SMALL_BODY_BYTES:
            return None
        try:
            async with asyncio.timeout(self._timeout.total):
                return await request.body.read()
        except TimeoutError as error:
            raise RefusedError(BODY_TOO_SLOW) from error

    async def fetch(
        self,
        upstream: Upstream,
        path: str,
        query: str,
        request: Request,
        *,
        method: str = "GET",
        body: bytes | None = None,
        extra: RawHeaders | None = None,
    ) -> Answer:
        """Ask something on a request's behalf, with its credentials unless `body` is given.

        Raises:
            RefusedError: as `ask`.
        """
        fields: RawHeaders = [(b"accept", b"application/json")]
        if body is None:
            wanted = (b"cookie", b"authorization", b"x-session-token", b"x-session-cookie")
            cleaned = headers.upwards(
                request.headers, keep_our_cookies=False, drop_credentials=False
            )
            fields += [field for field in cleaned if field[0] in wanted]
        else:
            fields.append((b"content-type", b"application/json"))
        fields += [*self._fields.decided_here(request), *(extra or [])]
        return await self._questions.ask(method, upstream, target(path, query), fields, body)

    async def _send(
        self,
        request: Request,
        url: URL,
        fields: RawHeaders,
        data: bytes | AsyncIterator[bytes] | None,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RefusedError(UPSTREAM_DOWN)
        try:
            return await self._session.request(
                request.method,
                url,
                headers=http_client.as_text(fields),
                data=data,
                allow_redirects=False,
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise RefusedError(UPSTREAM_DOWN) from error
        except TimeoutError as error:
            raise RefusedError(UPSTREAM_TIMEOUT) from error
        except (aiohttp.ClientError, ClientGoneError, RefusedError) as error:
            raise _meaning(error, request) from error

    async def read(self, response: aiohttp.ClientResponse, upstream: Upstream) -> Answer:
        """Return a whole answer, its header cleaned.

        Raises:
            RefusedError: it broke off, came too late, or is too large to judge.
        """
        try:
            pieces, total = [], 0
            async for piece in response.content.iter_any():
                pieces.append(piece)
                total += len(piece)
                if total > MAX_ANSWER_BYTES:
                    raise RefusedError(UPSTREAM_BROKEN)
        except TimeoutError as error:
            raise RefusedError(UPSTREAM_TIMEOUT) from error
        except aiohttp.ClientError as error:
            raise RefusedError(UPSTREAM_BROKEN) from error
        finally:
            _release(response)
        fields = self._fields.without_length(response.raw_headers, upstream)
        return Answer(response.status, fields, b"".join(pieces))

    async def stream(
        self, response: aiohttp.ClientResponse, upstream: Upstream, reply: Reply
    ) -> None:
        """Send an answer on as it comes. When it breaks off, the client's breaks off too."""
        try:
            await reply.begin(
                response.status, self._fields.downwards(response.raw_headers, upstream)
            )
            left, ended = response.content_length, False
            async for piece in response.content.iter_any():
                left = None if left is None else left - len(piece)
                ended = left == 0
                await (reply.end(piece) if ended else reply.piece(piece))
            if not ended:
                await reply.end()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("answer_broke_off", upstream=upstream.name, error=type(error).__name__)
        finally:
            _release(response)


def _streamed(request: Request) -> AsyncIterator[bytes] | None:
    return request.body.pieces() if request.body.is_expected else None


def _meaning(error: Exception, request: Request) -> Exception:
    """Say what a failed attempt means: the HTTP client wraps what its body source raised."""
    if isinstance(error, ClientGoneError):
        return error
    if request.body.too_large:
        return RefusedError(BODY_TOO_LARGE)
    if request.body.client_left:
        return ClientGoneError()
    down = (aiohttp.ClientConnectionError, aiohttp.ServerDisconnectedError)
    return RefusedError(UPSTREAM_DOWN if isinstance(error, down) else UPSTREAM_BROKEN)


def _release(response: aiohttp.ClientResponse) -> None:
    """Keep the connection for the next request, unless something is left unread on it."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()
