"""The real edge on a real port, and an upstream that behaves badly on purpose."""

import asyncio
import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import uvicorn
from aiohttp import web

from integration.edge.assembly import make_edge
from integration.edge.protocol import EdgeProtocol
from integration.settings import Settings

HOOKS_URL = "http://127.0.0.1:1/"
LEAK = "POST http://127.0.0.1:1/hooks/login giving up after 3 attempt(s)"
PATIENCE = 30.0
"""Seconds that a test waits for what has to happen; more than any deadline of the edge."""
CREATED = UUID("5bd1c1d4-0d3c-4d36-9e0c-2a7f4b1f7a10")
SESSIONS = UUID("0f0d1e9c-6f0f-4a86-8f5e-6c1d0b7d2a11")
ERROR_500 = {"error": {"code": 500, "status": "Internal Server Error", "message": LEAK}}


def session_of(identity: str, *, aal: str = "aal1") -> dict:
    """Return what `whoami` shows of the one session that somebody has."""
    now = datetime.now(UTC)
    return {
        "id": str(uuid5(SESSIONS, identity)),
        "active": True,
        "authenticated_at": now.isoformat(),
        "expires_at": (now + timedelta(days=7)).isoformat(),
        "authenticator_assurance_level": aal,
        "authentication_methods": [{"method": "password", "aal": "aal1"}],
        "identity": {"id": identity, "traits": {}},
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Upstream:
    """Plays Kratos, Keto and the service at once, and remembers what it was asked."""

    port: int = field(default_factory=free_port)
    seen: list[dict] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    may_stream_on: threading.Event = field(default_factory=_set_event)
    may_answer_settings: threading.Event = field(default_factory=_set_event)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read() if request.path != "/unread" else b""
        self.seen.append(
            {
                "method": request.method,
                "target": request.raw_path,
                "headers": [(k.lower(), v) for k, v in request.headers.items()],
                "body": body,
            }
        )
        behave = getattr(
            self, "do_" + request.path.strip("/").replace("/", "_").replace("-", "_"), None
        )
        return await behave(request) if behave else web.json_response({"path": request.raw_path})

    async def do_redirect(self, request):
        return web.Response(status=303, headers={"Location": "/elsewhere"})

    async def do_schemas_inside(self, request):
        return web.Response(status=307, headers={"Location": f"{HOOKS_URL}admin"})

    async def do_cookies(self, request):
        answer = web.Response(text="ok", headers={"Server": "secret/1", "X-Powered-By": "secret"})
        answer.headers.add("Set-Cookie", "a=1; Path=/; Expires=Mon, 23 Nov 2026 00:00:00 GMT")
        answer.headers.add("Set-Cookie", "b=2")
        return answer

    async def do_chunks(self, request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for number in range(3):
            await answer.write(b"%d" % number)
            await asyncio.sleep(0.15)
        return answer

    async def do_stream(self, request):
        """The rest comes when a test lets it, and not before."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"0")
        await asyncio.to_thread(self.may_stream_on.wait, 20)
        await answer.write(b"12")
        return answer

    async def do_broken(self, request):
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.close()
        return answer

    async def do_zipped(self, request):
        return web.Response(body=gzip.compress(b"text"), headers={"Content-Encoding": "gzip"})

    async def do_api_tokens_revocations(self, request):
        """Held until its client leaves, where it wishes to wait."""
        if "wait" in request.query:
            await asyncio.sleep(25)
        return web.json_response({})

    async def do_slow(self, request):
        try:
            await asyncio.sleep(8)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return web.Response(text="late")

    async def do_self_service_login(self, request):
        return web.json_response(ERROR_500, status=400)

    async def do_self_service_login_api(self, request):
        return web.json_response(ERROR_500, status=500)

    async def do_self_service_errors(self, request):
        return web.json_response({"id": "x", **ERROR_500})

    async def do_sessions_whoami(self, request):
        """A session of whoever the token names."""
        identity = request.headers.get("X-Session-Token")
        if identity is None:
            return web.json_response({"error": {"code": 401}}, status=401)
        headers = {"X-Kratos-Authenticated-Identity-Id": identity}
        return web.json_response(session_of(identity), headers=headers)

    async def do_self_service_settings(self, request):
        await asyncio.to_thread(self.may_answer_settings.wait, 20)
        return web.json_response({"state": "success"})

    async def do_self_service_registration(self, request):
        await asyncio.sleep(0.2)
        message = {"id": 4000007, "type": "error", "text": "exists"}
        return web.json_response({"ui": {"messages": [message], "nodes": []}}, status=400)

    async def do_admin_identities(self, request):
        if request.method == "POST":
            return web.json_response({"id": str(CREATED)}, status=201)
        return web.json_response([])

    async def do_relation_tuples_check_openapi(self, request):
        asked = json.loads(await request.read())
        if asked["relation"] == "slow":
            await asyncio.sleep(8)
        if asked["relation"] == "broken":
            return web.Response(status=500, text="boom")
        return web.json_response({"allowed": asked["relation"] == "view"})

    async def do_relation_tuples(self, request):
        if "page_token" in request.query:
            return web.json_response({"error": {"code": 500, "message": "bad"}}, status=500)
        return web.json_response({"relation_tuples": []})

    async def do_relation_tuples_expand(self, request):
        return web.json_response({"code": 404, "status": "Not Found", "message": "none"})

    async def do_sessions(self, request):
        error = {"id": "session_aal2_required", "code": 403, "message": "second factor"}
        return web.json_response({"error": error, "redirect_browser_to": "x"}, status=403)


@contextmanager
def upstream_running(upstream: Upstream | None = None) -> Iterator[Upstream]:
    upstream = upstream or Upstream()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(upstream.app(), handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", upstream.port).start()
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def edge_running(settings: Settings, protocol: type[EdgeProtocol] = EdgeProtocol) -> Iterator[int]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            make_edge(settings),
            host="127.0.0.1",
            port=port,
            proxy_headers=False,
            server_header=False,
            log_config=None,
            lifespan="on",
            http=protocol,
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()


def settings_for(port: int, **changes) -> Settings:
    here = f"http://127.0.0.1:{port}/"
    values = {
        "public_url": "https://id.example.test/",
        "database_url": "postgresql://kleis:wrong@127.0.0.1:1/kleis",
        "valkey_url": "redis://127.0.0.1:1/0",
        "hook_secret": "a secret of enough length",
        "secret": "another secret of enough length",
        "kratos_public_url": here,
        "kratos_admin_url": here,
        "keto_read_url": here,
        "keto_write_url": here,
        "keto_opl_url": here,
        "service_url": here,
        "hooks_url": HOOKS_URL,
        # Deadlines that a busy machine keeps; a test that one is kept at all sets its own.
        "connect_timeout": "PT10S",
        "forward_timeout": "PT10S",
        "decision_timeout": "PT10S",
    }
    return Settings(**(values | changes))


@dataclass
class Answered:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name), None)

    def json(self):
        return json.loads(self.body)


def ask(port: int, method: str, target: str, *, headers=None, body=None) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.putrequest(method, target, skip_host=False, skip_accept_encoding=True)
        fields = dict(headers or {})
        if body is not None:
            fields.setdefault("Content-Length", str(len(body)))
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Answered(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def last(upstream: Upstream) -> dict[str, str]:
    return dict(upstream.seen[-1]["headers"])
