"""A Kratos whose sessions a test can change, and count questions about."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
from aiohttp import web

from tests.edge_postgres import Server
from tests.edge_stage import Upstream, session_of


class Sessions(Upstream):
    """Kratos, with sessions that a test can change and count questions about."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, dict[str, Any]] = {}
        self.slow: set[str] = set()
        self.sets_cookie: set[str] = set()
        self.asked: list[str] = []
        self.broken = False
        self.denies = False
        self.loses_answers = False

    async def do_self_service_logout_api(self, request: web.Request) -> web.StreamResponse:
        token = json.loads(await request.read())["session_token"]
        self.changed[token] = {"gone": True}
        return web.Response(status=500 if self.loses_answers else 204)

    async def do_health_ready(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=503 if self.denies else 200)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/admin/identities/") and request.path.endswith("/sessions"):
            identity = request.path.split("/")[3]
            is_gone = self.changed.get(identity, {}).get("gone")
            return web.json_response([] if is_gone else [self.shown(identity)])
        return await super().answer(request)

    async def do_self_service_methods_oidc_callback_generic(
        self, request: web.Request
    ) -> web.StreamResponse:
        """A provider sends somebody back, whom the state names."""
        answer = web.Response(status=303, headers={"Location": "https://id.example.test/"})
        answer.set_cookie("ory_kratos_session", request.query["state"], httponly=True)
        return answer

    async def do_sessions_token_exchange(self, request: web.Request) -> web.StreamResponse:
        identity = request.query["init_code"]
        return web.json_response({"session_token": identity, "session": self.shown(identity)})

    def shown(self, identity: str) -> dict[str, Any]:
        return session_of(identity) | self.changed.get(identity, {})

    async def do_sessions_whoami(self, request: web.Request) -> web.StreamResponse:
        identity = _credential(request)
        self.asked.append(identity)
        if self.denies:
            return web.json_response({"error": {"code": 401}}, status=401)
        if self.broken:
            return web.json_response({"error": {"code": 500}}, status=500)
        if identity in self.changed and self.changed[identity].get("gone"):
            return web.json_response({"error": {"code": 401}}, status=401)
        shown = self.shown(identity)
        if identity in self.slow:
            await asyncio.sleep(0.4)
        answer = web.json_response(
            shown, headers={"X-Kratos-Authenticated-Identity-Id": identity, "Vary": "Cookie"}
        )
        if identity in self.sets_cookie:
            answer.set_cookie("ory_kratos_session", "newer")
        return answer


def _credential(request: web.Request) -> str:
    given = request.headers.get("X-Session-Token") or request.headers.get("X-Session-Cookie")
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return given or bearer or request.cookies.get("ory_kratos_session", "")


def new_member(server: Server) -> str:
    identity_id = uuid4()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "insert into members (identity_id, status, role, status_changed_at, registered_at)"
            " values (%s, 'active', 'user', now(), now())",
            (identity_id,),
        )
    return str(identity_id)


def session_id(member: str) -> UUID:
    return UUID(session_of(member)["id"])
