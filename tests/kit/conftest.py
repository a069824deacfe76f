"""A stand-in for the issuer, and a verifier that goes by it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from kleis_client import RevocationFeed, TokenVerifier
from tests.kit.issuer_double import AUDIENCE, IssuerDouble

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"])


class Clock:
    """A clock that a test can move; it runs by itself too."""

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._source() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time)


@pytest.fixture
def timer() -> Clock:
    return Clock(time.monotonic)


@pytest.fixture
def issuer() -> Iterator[IssuerDouble]:
    double = IssuerDouble()
    yield double
    double.close()


@pytest.fixture
def make_verifier(issuer: IssuerDouble, clock: Clock, timer: Clock) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a verifier; without a feed unless one is given."""
    made: list[TokenVerifier] = []

    def make(**settings: Any) -> TokenVerifier:
        settings.setdefault("check_revocations", "revocations" in settings)
        verifier = TokenVerifier(issuer.url, AUDIENCE, clock=clock, timer=timer, **settings)
        made.append(verifier)
        return verifier

    yield make
    for verifier in made:
        verifier.close()


@pytest.fixture
def verifier(make_verifier: Callable[..., TokenVerifier]) -> TokenVerifier:
    return make_verifier()


@pytest.fixture
def feed(issuer: IssuerDouble, timer: Clock) -> Iterator[RevocationFeed]:
    feed = RevocationFeed(issuer.url, wait=0.5, timer=timer)
    yield feed
    feed.close()


def eventually(probe: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """Return the first true answer of `probe`, or fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {seconds} s")
        time.sleep(0.01)
    return answer
