"""Calls the edge makes for decisions, on nobody's behalf: to Keto, and to settle a subject.

A client of its own: whoever gives up on an answer closes the connection it would come on. Keto
never answers some checks whose database went away (v0.13).
"""

import aiohttp
from yarl import URL

from integration.edge import http_client
from integration.edge.problems import UPSTREAM_BROKEN, UPSTREAM_DOWN, UPSTREAM_TIMEOUT, RefusedError
from integration.settings import Settings

_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class DecisionUpstream:
    """Open between `start` and `close`. Every call ends within `KLEIS_UPSTREAM_TIMEOUT`; callers
    put their own deadline around it."""

    def __init__(self, settings: Settings) -> None:
        self._keto = str(settings.keto_read_url).rstrip("/")
        self._hooks = str(settings.hooks_url).rstrip("/")
        self._secret = settings.hook_secret.get_secret_value()
        self._timeout = aiohttp.ClientTimeout(
            total=settings.upstream_timeout.total_seconds(),
            sock_connect=settings.connect_timeout.total_seconds(),
        )
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = http_client.open_session(self._timeout)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask_keto(
        self, path: str, *, query: str = "", body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of Keto's answer; a GET without a body.

        Raises:
            RefusedError: nobody answered, or too late.
        """
        return await self._call(
            URL(f"{self._keto}{path}{query and '?' + query}", encoded=True), body
        )

    async def settle(self, body: bytes) -> int:
        """Return the status of the service's answer. Raises as `ask_keto`."""
        url = URL(f"{self._hooks}/hooks/authority/settle", encoded=True)
        status, _ = await self._call(url, body, {"X-Kleis-Hook-Secret": self._secret})
        return status

    async def _call(
        self, url: URL, body: bytes | None, more: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RefusedError(UPSTREAM_DOWN)
        try:
            async with self._session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers=_JSON | (more or {}),
                allow_redirects=False,
            ) as response:
                return response.status, await _whole(response)
        except aiohttp.ConnectionTimeoutError as error:
            raise RefusedError(UPSTREAM_DOWN) from error
        except TimeoutError as error:
            raise RefusedError(UPSTREAM_TIMEOUT) from error
        except aiohttp.ClientConnectionError as error:
            raise RefusedError(UPSTREAM_DOWN) from error
        except aiohttp.ClientError as error:
            raise RefusedError(UPSTREAM_BROKEN) from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = await response.content.read(_MAX_ANSWER_BYTES)
    if not response.content.at_eof():
        pieces = [body]
        total = len(body)
        async for piece in response.content.iter_any():
            pieces.append(piece)
            total += len(piece)
            if total > _MAX_ANSWER_BYTES:
                raise RefusedError(UPSTREAM_BROKEN)
        body = b"".join(pieces)
    return body
