"""`whoami` as the service asks it: bounded, one person's answer at a time, never a guess."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from aiohttp import web

from integration.errors import UpstreamUnavailableError
from integration.ory.session_check import SessionCheck
from tests.edge_stage import Upstream, free_port, session_of, upstream_running


class Kratos(Upstream):
    """Answers as the token says: a status, `slow`, or whose session it is."""

    async def do_base_sessions_whoami(self, request: web.Request) -> web.StreamResponse:
        token = request.headers["X-Session-Token"]
        if token == "slow":
            await asyncio.sleep(5)
        if token.isdigit():
            return web.json_response({}, status=int(token), headers={"Location": "/elsewhere"})
        shown = session_of(token)
        shown["identity"] |= {"created_at": shown["authenticated_at"]}
        answer = web.json_response(shown)
        answer.set_cookie("ory_kratos_session", token)
        return answer


@pytest.fixture
def kratos() -> Iterator[Kratos]:
    with upstream_running(Kratos()) as running:
        yield running


def check_at(port: int, path: str = "base/") -> SessionCheck:
    url = f"http://127.0.0.1:{port}/{path}"
    second = timedelta(seconds=1)
    return SessionCheck(url, timeout=second, connect_timeout=second)


@pytest.fixture
def check(kratos) -> Iterator[SessionCheck]:
    made = check_at(kratos.port)
    yield made
    made.close()


def test_the_session_is_read(check):
    who = uuid4()
    assert check.whoami({"x-session-token": str(who)}).identity.id == who


def test_nothing_of_one_answer_goes_along_with_the_next_question(check, kratos):
    for _ in range(2):
        check.whoami({"x-session-token": str(uuid4())})
    assert all("cookie" not in dict(seen["headers"]) for seen in kratos.seen)


@pytest.mark.parametrize("status", [401, 403, 404, 303])
def test_what_is_no_session_is_none(check, kratos, status):
    assert check.whoami({"x-session-token": str(status)}) is None
    assert len(kratos.seen) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_kratos_that_cannot_say_is_no_answer(check, status):
    with pytest.raises(UpstreamUnavailableError):
        check.whoami({"x-session-token": str(status)})


def test_nobody_waits_longer_than_was_agreed(check):
    # Whoever waited on would get an answer.
    with pytest.raises(UpstreamUnavailableError):
        check.whoami({"x-session-token": "slow"})


def test_a_kratos_that_is_away_is_no_answer():
    check = check_at(free_port())
    with pytest.raises(UpstreamUnavailableError):
        check.whoami({"x-session-token": "x"})
    check.close()
