"""Ending what was logged in before a moment, against a Kratos that keeps a list of sessions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from aiohttp import web

from integration.ory.kratos import Kratos
from tests.edge_stage import Upstream, upstream_running

WHO = UUID("7f8f5a1e-6c0e-4f5a-9f43-0b7c55a1d0aa")
MOMENT = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class Sessions(Upstream):
    """Lists and ends sessions of one identity."""

    held: dict[str, datetime] = field(default_factory=dict)
    deletions: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            self.deletions.append(request.path)
            if request.path.startswith("/admin/identities/"):
                self.held.clear()
            else:
                del self.held[request.path.rpartition("/")[2]]
            return web.Response(status=204)
        shown = [{"id": each, "authenticated_at": at.isoformat()} for each, at in self.held.items()]
        return web.Response(text=json.dumps(shown), content_type="application/json")

    def log_in(self, *, minutes_after: int) -> str:
        session_id = str(uuid4())
        self.held[session_id] = MOMENT + timedelta(minutes=minutes_after)
        return session_id


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    with upstream_running(Sessions()) as running:
        assert isinstance(running, Sessions)
        yield running


@pytest.fixture
def kratos(sessions) -> Iterator[Kratos]:
    with httpx.Client(base_url=f"http://127.0.0.1:{sessions.port}") as client:
        yield Kratos(admin=client, public=client)


def test_many_sessions_and_none_newer_end_with_one_call(sessions, kratos):
    for _ in range(10):
        sessions.log_in(minutes_after=-1)

    kratos.end_sessions_before(WHO, MOMENT)

    assert sessions.deletions == [f"/admin/identities/{WHO}/sessions"]
    assert sessions.held == {}


def test_a_newer_session_outlives_the_older_ones(sessions, kratos):
    for _ in range(10):
        sessions.log_in(minutes_after=-1)
    newer = sessions.log_in(minutes_after=1)

    kratos.end_sessions_before(WHO, MOMENT)

    assert list(sessions.held) == [newer]
    assert len(sessions.deletions) == 10


def test_without_sessions_nothing_is_called(sessions, kratos):
    kratos.end_sessions_before(WHO, MOMENT)
    assert sessions.deletions == []
