"""Requests to the issuer: one deadline each, a bound on answers, no redirects."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from kleis_client import strict_json
from kleis_client.background import BACKGROUND
from kleis_client.errors import IssuerError

LARGEST_ANSWER = 16 * 1024 * 1024
_HEADERS = {"accept": "application/json", "user-agent": "kleis-client/0.1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the issuer said."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body.

        Raises:
            IssuerError: If it is not a JSON object.
        """
        try:
            found = strict_json.loads(self.body)
        except ValueError:
            raise IssuerError("The issuer's answer is not JSON.") from None
        if not isinstance(found, dict):
            raise IssuerError("The issuer's answer is not a JSON object.")
        return found


class Issuer:
    """Where Kleis is.

    Args:
        url: The public address, as in the tokens' `iss`.
        address: Where to send requests instead, such as an address inside a private network.
        api_key: Sent as bearer token with every request.
    """

    def __init__(self, url: str, *, address: str | None = None, api_key: str | None = None) -> None:
        self.url = origin_of(url)
        self._address = origin_of(address or url)
        self._headers = _HEADERS | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        self._client: tuple[int, httpx.AsyncClient] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        params: Mapping[str, str | float] | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Send one request from the background thread and return the whole answer.

        Args:
            deadline: Seconds for everything from connecting to the last byte.

        Raises:
            IssuerError: If there is no whole answer in time.
        """
        client = self._open()
        try:
            async with (
                asyncio.timeout(deadline),
                client.stream(
                    method, self._address + path, params=params, headers=headers, json=json
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        raise IssuerError("The issuer's answer is too large.")
                return Answer(response.status_code, response.headers, bytes(body))
        except TimeoutError:
            raise IssuerError("The issuer did not answer in time.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise IssuerError(f"The issuer cannot be reached ({type(error).__name__}).") from error

    def close(self) -> None:
        """End its connections."""
        found, self._client = self._client, None
        if found is not None and found[0] == BACKGROUND.generation:
            BACKGROUND.submit(found[1].aclose()).result()

    def _open(self) -> httpx.AsyncClient:
        """Return this process' client. Only the background thread comes here."""
        generation = BACKGROUND.generation
        if self._client is None or self._client[0] != generation:
            client = httpx.AsyncClient(
                headers=self._headers,
                verify=_trusted_authorities(),
                follow_redirects=False,
                timeout=None,  # noqa: S113 - `ask` has one deadline for everything
            )
            self._client = (generation, client)
        return self._client[1]


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Return what a client makes for itself: reading them takes longer than a request."""
    return httpx.create_ssl_context()


def origin_of(url: str) -> str:
    """Return `url` without a slash at its end.

    Raises:
        ValueError: If it is not an address with scheme and host, or holds more than a path.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address of the issuer begins with https:// and a host")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("an address of the issuer has no query, no fragment and no user")
    return url.rstrip("/")
