"""Authentication for `httpx` clients that call services with a member's access token."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import httpx

from kleis_client.background import BACKGROUND
from kleis_client.errors import IssuerError, SecondFactorRequiredError, SessionEndedError
from kleis_client.issuer import Issuer
from kleis_client.token_pair import TokenPair

PATH = "/api/tokens/refresh"
REFRESH = 5.0
"""Seconds for one renewal."""
EARLY = 30.0
"""Seconds before its end at which an access token is renewed."""

Origin = tuple[str, str, int | None]


class TokenAuth(httpx.Auth):
    """Sends the access token, and renews it when it is over or was refused.

    However many requests find that out at once, from however many threads and event loops, there is
    one renewal. The new pair is handed to `store` before anything uses it: when the process ends
    right then, the stored refresh token is the one that counts. A request that gets 401 is sent
    once more with a new token, if its body is in memory; a streamed one is not.

    The token goes to `origins` alone. A request to another place, by an absolute address or by a
    redirect, goes there without it.

    Use one object for each login: a refresh token that two renew is taken for stolen.

    Args:
        issuer: The public address of Kleis.
        tokens: The pair of a login, or the one that was stored last.
        store: Keeps a new pair; called in a thread of its own. If it fails, the new pair is not
            used and the next renewal gets the same one again, for a minute.
        origins: Where the token may go, such as `https://shop.example`; by default to the issuer.
        address: Where to send renewals instead of to `issuer`.

    A request raises `SessionEndedError` when the refresh token is refused,
    `SecondFactorRequiredError` while its session waits for one, and `IssuerError` when there is no
    new token for any other reason; that one is worth retrying.
    """

    def __init__(
        self,
        issuer: str,
        tokens: TokenPair,
        store: Callable[[TokenPair], None],
        *,
        origins: Collection[str] = (),
        address: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = Issuer(issuer, address=address)
        self._store, self._clock = store, clock
        self._origins = frozenset(_origin(httpx.URL(url)) for url in origins or (issuer,))
        self._lock = threading.Lock()
        self._tokens = tokens
        self._renewal: tuple[int, Future[TokenPair]] | None = None

    @property
    def tokens(self) -> TokenPair:
        """The pair in use."""
        return self._tokens

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with the token; called by `httpx.Client`."""
        if _origin(request.url) not in self._origins:
            yield request
            return
        tokens = self._tokens
        if self._is_over(tokens):
            with self._still_good(tokens):
                tokens = self._renew(tokens).result()
        response = yield _with(request, tokens)
        if self._should_retry(request, response):
            yield _with(request, self._renew(tokens).result())

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send `request` with the token; called by `httpx.AsyncClient`."""
        if _origin(request.url) not in self._origins:
            yield request
            return
        tokens = self._tokens
        if self._is_over(tokens):
            with self._still_good(tokens):
                tokens = await _shared(self._renew(tokens))
        response = yield _with(request, tokens)
        if self._should_retry(request, response):
            yield _with(request, await _shared(self._renew(tokens)))

    def close(self) -> None:
        """End the connections to the issuer."""
        self._issuer.close()

    def _is_over(self, tokens: TokenPair) -> bool:
        return self._clock() >= tokens.expires_at - EARLY

    @contextmanager
    def _still_good(self, tokens: TokenPair) -> Iterator[None]:
        """Let an early renewal fail: the token is good for some seconds yet."""
        try:
            yield
        except IssuerError:
            if self._clock() >= tokens.expires_at:
                raise

    def _should_retry(self, request: httpx.Request, response: httpx.Response) -> bool:
        # A redirect may have led elsewhere: then it was not our token that was refused.
        sent = response.request.headers.get("authorization")
        ours = sent is not None and sent == request.headers.get("authorization")
        return response.status_code == 401 and ours and isinstance(request.stream, httpx.ByteStream)

    def _renew(self, used: TokenPair) -> Future[TokenPair]:
        """Return what will be the pair after `used`; who comes first starts the renewal."""
        with self._lock:
            if self._tokens is not used:
                done: Future[TokenPair] = Future()
                done.set_result(self._tokens)
                return done
            generation, renewal = BACKGROUND.generation, self._renewal
            if renewal is None or renewal[0] != generation or renewal[1].done():
                renewal = (generation, BACKGROUND.submit(self._refresh(used)))
                self._renewal = renewal
            return renewal[1]

    async def _refresh(self, used: TokenPair) -> TokenPair:
        sent_at = self._clock()
        answer = await self._issuer.ask(
            "POST", PATH, deadline=REFRESH, json={"refresh_token": used.refresh_token}
        )
        if answer.status == 401:
            raise SessionEndedError
        if answer.status == 403:
            raise SecondFactorRequiredError
        if answer.status != 200:
            raise IssuerError(f"The issuer did not renew the token (status {answer.status}).")
        tokens = TokenPair.of(answer.json(), now=sent_at)
        await asyncio.to_thread(self._store, tokens)
        with self._lock:
            self._tokens = tokens
        return tokens


def _with(request: httpx.Request, tokens: TokenPair) -> httpx.Request:
    request.headers["authorization"] = f"Bearer {tokens.access_token}"
    return request


def _origin(url: httpx.URL) -> Origin:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return (url.scheme, url.host.lower(), port)


async def _shared(renewal: Future[TokenPair]) -> TokenPair:
    # Shielded: a caller who gives up must not undo a renewal that others wait for, and whose
    # refresh token the issuer may have used up already.
    return await asyncio.shield(asyncio.wrap_future(renewal))
