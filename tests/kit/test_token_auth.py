"""`TokenAuth`: one renewal for many requests, and tokens that go nowhere else."""

import asyncio
import threading
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from kleis_client import (
    IssuerError,
    SecondFactorRequiredError,
    SessionEndedError,
    TokenAuth,
    TokenPair,
)
from kleis_client.token_auth import EARLY
from tests.kit.conftest import eventually

REFRESH = "/api/tokens/refresh"


class Shop:
    """A service that takes one access token, on a port of its own; remembers what it was sent."""

    def __init__(self):
        self.good = "access-0"
        self.seen = []
        self.asked = Counter()
        self.redirect_to = None
        self._server = uvicorn.Server(
            uvicorn.Config(self._answer, port=0, log_config=None, interface="asgi3", lifespan="off")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self._server.should_exit = True
        self._thread.join(30)

    async def _answer(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        token = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.seen.append((scope["path"], token, body))
        self.asked[scope["path"]] += 1
        status, headers = (200 if token == f"Bearer {self.good}" else 401), []
        if scope["path"] == "/away":
            status, headers = 307, [(b"location", self.redirect_to.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def tokens_seen(self):
        return {token for _, token, _ in self.seen}


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture
def elsewhere():
    elsewhere = Shop()
    yield elsewhere
    elsewhere.close()


@pytest.fixture
def stored():
    return []


@pytest.fixture
def auth(issuer, shop, stored, clock):
    pair = TokenPair.of(issuer.pair(0), now=clock())
    auth = TokenAuth(issuer.url, pair, stored.append, origins=[shop.url], clock=clock)
    yield auth
    auth.close()


@asynccontextmanager
async def client_of(auth, **settings):
    async with httpx.AsyncClient(auth=auth, timeout=10, **settings) as client:
        yield client


def test_a_good_token_is_sent_and_not_renewed(issuer, shop, auth):
    with httpx.Client(auth=auth) as client:
        assert client.get(shop.url).status_code == 200
    assert issuer.asked[REFRESH] == 0


def test_a_refused_token_is_renewed_and_the_request_sent_once_more(issuer, shop, auth, stored):
    shop.good = "access-1"
    with httpx.Client(auth=auth) as client:
        answer = client.post(f"{shop.url}/orders", json={"book": 7})
    assert answer.status_code == 200
    assert answer.content == b'{"book":7}'
    assert [pair.refresh_token for pair in stored] == ["refresh-1"]
    assert issuer.asked[REFRESH] == 1


def test_a_hundred_tasks_share_one_renewal(issuer, shop, auth, stored):
    shop.good = "access-1"

    async def hundred():
        async with client_of(auth, limits=httpx.Limits(max_connections=100)) as client:
            return await asyncio.gather(*(client.get(shop.url) for _ in range(100)))

    assert {answer.status_code for answer in asyncio.run(hundred())} == {200}
    assert issuer.asked[REFRESH] == 1
    assert len(stored) == 1


def test_threads_and_event_loops_share_one_renewal(issuer, shop, auth, stored):
    shop.good = "access-1"
    statuses = []
    barrier = threading.Barrier(16)

    def in_a_thread():
        with httpx.Client(auth=auth) as client:
            barrier.wait(30)
            statuses.append(client.get(shop.url).status_code)

    def on_an_event_loop():
        async def ask():
            async with client_of(auth) as client:
                barrier.wait(30)
                statuses.append((await client.get(shop.url)).status_code)

        asyncio.run(ask())

    threads = [
        threading.Thread(target=target) for target in [in_a_thread] * 8 + [on_an_event_loop] * 8
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    assert issuer.asked[REFRESH] == 1
    assert len(stored) == 1


def test_a_token_near_its_end_is_renewed_before_it_is_refused(issuer, shop, auth, clock):
    shop.good = "access-1"
    clock.ahead = 900 - EARLY + 1
    with httpx.Client(auth=auth) as client:
        client.get(shop.url)
    assert shop.tokens_seen() == {"Bearer access-1"}


def test_a_request_is_sent_twice_at_most(issuer, shop, auth):
    shop.good = "none of these"
    with httpx.Client(auth=auth) as client:
        assert client.get(shop.url).status_code == 401
    assert len(shop.seen) == 2
    assert issuer.asked[REFRESH] == 1


def test_a_pair_is_stored_before_it_is_used(issuer, shop, clock):
    shop.good = "access-1"
    order = []

    def store(pair):
        order.append((pair.access_token, shop.tokens_seen()))

    pair = TokenPair.of(issuer.pair(0), now=clock())
    auth = TokenAuth(issuer.url, pair, store, origins=[shop.url])
    with httpx.Client(auth=auth) as client:
        client.get(shop.url)
    auth.close()
    assert order == [("access-1", {"Bearer access-0"})]


def test_a_pair_that_could_not_be_stored_is_not_used_and_is_given_again(issuer, shop, clock):
    shop.good = "access-1"
    failures = [OSError("disk full")]
    kept = []

    def store(pair):
        if failures:
            raise failures.pop()
        kept.append(pair)

    auth = TokenAuth(
        issuer.url, TokenPair.of(issuer.pair(0), now=clock()), store, origins=[shop.url]
    )
    with httpx.Client(auth=auth) as client:
        with pytest.raises(OSError, match="disk full"):
            client.get(shop.url)
        assert auth.tokens.refresh_token == "refresh-0"
        assert client.get(shop.url).status_code == 200
    auth.close()
    assert [pair.refresh_token for pair in kept] == ["refresh-1"]
    assert "Bearer access-1" in shop.tokens_seen()


def test_a_refused_refresh_token_ends_the_session(issuer, shop, auth, stored):
    issuer.refresh_tokens.clear()
    shop.good = "access-1"
    with httpx.Client(auth=auth) as client, pytest.raises(SessionEndedError):
        client.get(shop.url)
    assert stored == []


def test_a_session_that_waits_for_a_second_factor_is_told_apart_and_not_ended(issuer, shop, auth):
    shop.good = "access-1"
    issuer.refresh_status = 403
    with httpx.Client(auth=auth) as client:
        with pytest.raises(SecondFactorRequiredError):
            client.get(shop.url)
        issuer.refresh_status = None
        assert client.get(shop.url).status_code == 200


@pytest.mark.parametrize("status", [500, 503, 302, 429])
def test_an_issuer_in_trouble_ends_no_session(issuer, shop, auth, stored, status):
    shop.good = "access-1"
    issuer.refresh_status = status
    with httpx.Client(auth=auth) as client:
        with pytest.raises(IssuerError):
            client.get(shop.url)
        issuer.refresh_status = None
        assert client.get(shop.url).status_code == 200
    assert len(stored) == 1


def test_an_early_renewal_may_fail_while_the_token_is_good(issuer, shop, auth, clock):
    issuer.refresh_status = 503
    clock.ahead = 900 - EARLY + 1
    with httpx.Client(auth=auth) as client:
        assert client.get(shop.url).status_code == 200
        clock.ahead = 901
        with pytest.raises(IssuerError):
            client.get(shop.url)


def test_a_caller_who_gives_up_loses_nobody_the_new_pair(issuer, shop, auth, stored):
    shop.good = "access-1"

    async def one_gives_up():
        async with client_of(auth) as client:
            impatient = asyncio.ensure_future(client.get(shop.url))
            await asyncio.to_thread(eventually, lambda: issuer.asked[REFRESH])
            impatient.cancel()
            return await client.get(shop.url)

    assert asyncio.run(one_gives_up()).status_code == 200
    assert [pair.refresh_token for pair in stored] == ["refresh-1"]
    assert issuer.asked[REFRESH] == 1


def test_a_streamed_body_is_not_sent_twice(issuer, shop, auth):
    shop.good = "access-1"
    with httpx.Client(auth=auth) as client:
        answer = client.post(shop.url, content=iter([b"one", b"two"]))
    assert answer.status_code == 401
    assert len(shop.seen) == 1


def test_another_host_gets_no_token_by_an_absolute_address(issuer, shop, elsewhere, auth):
    with httpx.Client(auth=auth, base_url=shop.url) as client:
        assert client.get(elsewhere.url).status_code == 401
        assert client.get(f"http://localhost:{shop.port}/").status_code == 401
    assert elsewhere.tokens_seen() == {""}
    assert shop.tokens_seen() == {""}
    assert issuer.asked[REFRESH] == 0


def test_another_host_gets_no_token_by_a_redirect(issuer, shop, elsewhere, auth):
    shop.redirect_to = f"{elsewhere.url}/caught"

    async def follow():
        async with client_of(auth, follow_redirects=True) as client:
            return await client.get(f"{shop.url}/away")

    assert asyncio.run(follow()).status_code == 401
    with httpx.Client(auth=auth, follow_redirects=True) as client:
        assert client.post(f"{shop.url}/away", json={}).status_code == 401
    assert elsewhere.asked == {"/caught": 2}
    assert elsewhere.tokens_seen() == {""}
    assert issuer.asked[REFRESH] == 0


def test_the_refresh_token_is_not_sent_on_by_a_redirect(issuer, shop, elsewhere, auth):
    shop.good = "access-1"
    issuer.refresh_status = 307
    issuer.refresh_location = f"{elsewhere.url}/caught"
    with httpx.Client(auth=auth, follow_redirects=True) as client, pytest.raises(IssuerError):
        client.get(shop.url)
    assert elsewhere.seen == []


def test_no_token_is_shown(issuer):
    pair = TokenPair.of(issuer.pair(0))
    assert "access-0" not in repr(pair)
    assert "refresh-0" not in repr(pair)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": "with\r\nx-header: 1"},
        {"access_token": "a" * 20_000},
        {"token_type": "DPoP"},
        {"expires_in": -1},
        {"expires_in": True},
        {"expires_in": 10**12},
        {"refresh_token": ""},
        {"refresh_expires_in": "week"},
    ],
)
def test_a_pair_that_is_none_is_refused(issuer, changes):
    with pytest.raises(IssuerError):
        TokenPair.of(issuer.pair(0) | changes)
