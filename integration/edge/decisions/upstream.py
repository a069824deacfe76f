"""Calls the edge makes for decisions, on nobody's behalf: to Keto, and to settle a subject.

Clients of their own: whoever gives up on an answer closes the connection it would come on. Keto
never answers some checks whose database went away (v0.13).
"""

import aiohttp
from yarl import URL

from integration.edge import http_client
from integration.edge.decisions.keto_connection import KetoConnections
from integration.edge.problems import UPSTREAM_BROKEN, UPSTREAM_DOWN, UPSTREAM_TIMEOUT, RefusedError
from integration.edge.upstream_connections import answered_within
from integration.edge.upstream_fields import target
from integration.settings import Settings

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class DecisionUpstream:
    """Open between `start` and `close`. Every call ends within `KLEIS_UPSTREAM_TIMEOUT`; callers
    put their own deadline around it."""

    def __init__(self, settings: Settings) -> None:
        self._hooks = str(settings.hooks_url).rstrip("/")
        self._secret = settings.hook_secret.get_secret_value()
        self._seconds = settings.upstream_timeout.total_seconds()
        self._connect_seconds = settings.connect_timeout.total_seconds()
        self._keto = KetoConnections(
            str(settings.keto_read_url), connect_seconds=self._connect_seconds
        )
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = http_client.open_session(
            aiohttp.ClientTimeout(total=self._seconds, sock_connect=self._connect_seconds)
        )

    async def close(self) -> None:
        self._keto.close()
        if self._session is not None:
            await self._session.close()

    async def ask_keto(
        self, path: str, *, query: str = "", body: bytes | None = None, seconds: float | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of Keto's answer; a GET without a body.

        Args:
            seconds: A deadline of the caller's; None: `KLEIS_UPSTREAM_TIMEOUT`.

        Raises:
            RefusedError: nobody answered, or too late.
        """
        async with answered_within(self._seconds if seconds is None else seconds):
            return await self._keto.ask(target(path, query), body)

    async def settle(self, body: bytes) -> int:
        """Return the status of the service's answer. Raises as `ask_keto`."""
        if self._session is None:
            raise RefusedError(UPSTREAM_DOWN)
        try:
            async with self._session.post(
                URL(f"{self._hooks}/hooks/authority/settle", encoded=True),
                data=body,
                headers=_JSON | {"X-Kleis-Hook-Secret": self._secret},
                allow_redirects=False,
            ) as response:
                return response.status
        except aiohttp.ConnectionTimeoutError as error:
            raise RefusedError(UPSTREAM_DOWN) from error
        except TimeoutError as error:
            raise RefusedError(UPSTREAM_TIMEOUT) from error
        except aiohttp.ClientConnectionError as error:
            raise RefusedError(UPSTREAM_DOWN) from error
        except aiohttp.ClientError as error:
            raise RefusedError(UPSTREAM_BROKEN) from error
