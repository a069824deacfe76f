"""A stand-in for Kleis at the network, with real keys, that answers as the kit's contract says.

It can fall silent, go away and come back, answer nonsense, and says what it was asked.
"""

import asyncio
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

API_KEY = "kleis_for-tests"
AUDIENCE = "kleis"
Reply = Callable[[web.Request], web.Response]


class SigningKey:
    """A key pair of the issuer."""

    def __init__(self, key_id: str, algorithm: str = "EdDSA") -> None:
        self.id, self.algorithm = key_id, algorithm
        if algorithm == "EdDSA":
            self.private: Any = ed25519.Ed25519PrivateKey.generate()
            made = jwt.algorithms.OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            made = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.jwk = made | {"kid": key_id, "alg": algorithm, "use": "sig"}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        fields = {"typ": "at+jwt", "kid": self.id} | header
        return jwt.encode(claims, self.private, self.algorithm, headers=fields)


class IssuerDouble:
    """Serves on a thread of its own, on one port, which it keeps over `stop` and `start`."""

    def __init__(self) -> None:
        self.keys = [SigningKey("key-1")]
        self.max_age = 300
        self.jwks: Reply | None = None
        self.revoked: list[str] = []
        self.version = 1
        self.refresh_tokens = {"refresh-0": "fresh"}
        self.refresh_status: int | None = None
        self.refresh_location = ""
        self.allowed: set[tuple[str, str, str | None]] = set()
        self.check_reply: Reply | None = None
        self.check_delay = 0.0
        self.epoch_messages: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.member_id = str(uuid.uuid4())
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to None takes a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": str(uuid.uuid4()),
            "aud": AUDIENCE,
            "sid": str(uuid.uuid4()),
            "jti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + 900,
            "auth_time": now,
            "amr": ["pwd"],
            "acr": "aal1",
            "roles": ["user"],
            "permissions": ["content.view", "comment.*"],
            "status": "active",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changes: Any) -> str:
        return self.keys[-1].sign(self.claims(**changes))

    def pair(self, number: int, *, expires_in: int = 900) -> dict[str, Any]:
        """The tokens of the nth renewal; the access token is none, and says which it is."""
        return {
            "access_token": f"access-{number}",
            "token_type": "Bearer",
            "expires_in": expires_in,
            "refresh_token": f"refresh-{number}",
            "refresh_expires_in": 604_800,
        }

    def revoke(self, session_id: str) -> None:
        self.revoked.append(session_id)
        self.version += 1
        self._ring()

    def tell(self, *subjects: str, edges: bool = False, reset: bool = False) -> None:
        """Say that decisions about these subjects are stale."""
        self.epoch_messages.append({"subjects": list(subjects), "edges": edges, "reset": reset})
        self._ring()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)

    def stop(self) -> None:
        """Go away: no connection is accepted, those that are open end."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _ring(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)

    async def _start(self) -> None:
        application = web.Application(middlewares=[self._count])
        application.add_routes(
            [
                web.get("/.well-known/jwks.json", self._jwks),
                web.get("/api/tokens/revocations", self._revocations),
                web.post("/api/tokens/refresh", self._refresh),
                web.post("/api/auth/login", self._log_in),
                web.post("/api/permissions/check", self._check),
                web.post("/api/permissions/batch-check", self._batch_check),
                web.get("/api/permissions/epochs", self._epochs),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked[request.path] += 1
        closed = request.path.startswith("/api/permissions")
        if closed and request.headers.get("authorization") != f"Bearer {API_KEY}":
            return web.json_response({"type": "urn:kleis:problem:unauthenticated"}, status=401)
        return await handler(request)

    async def _jwks(self, request: web.Request) -> web.Response:
        if self.jwks is not None:
            return self.jwks(request)
        headers = {"cache-control": f"public, max-age={self.max_age}"}
        return web.json_response({"keys": [key.jwk for key in self.keys]}, headers=headers)

    async def _revocations(self, request: web.Request) -> web.Response:
        known = request.headers.get("if-none-match")
        if known == f'"{self.version}"':
            await self._hold(request, lambda: known != f'"{self.version}"')
        etag = f'"{self.version}"'
        if known == etag:
            return web.Response(status=304, headers={"etag": etag})
        until = int(time.time()) + 900
        listed = [{"sid": session_id, "until": until} for session_id in self.revoked]
        body = {"version": str(self.version), "revoked": listed}
        return web.json_response(body, headers={"etag": etag})

    async def _refresh(self, request: web.Request) -> web.Response:
        used = (await request.json())["refresh_token"]
        await asyncio.sleep(0.02)  # long enough for others to come while it runs
        if self.refresh_status is not None:
            headers = {"location": self.refresh_location}
            return web.json_response({}, status=self.refresh_status, headers=headers)
        if used not in self.refresh_tokens:
            problem = {"type": "urn:kleis:problem:session_ended", "status": 401}
            return web.json_response(problem, status=401)
        number = int(used.partition("-")[2]) + 1
        # As Kleis: a used token gives the same successor again while that is unused.
        self.refresh_tokens[f"refresh-{number}"] = "fresh"
        self.refresh_tokens.pop(f"refresh-{number - 2}", None)
        return web.json_response(self.pair(number))

    async def _log_in(self, _: web.Request) -> web.Response:
        access_token = self.token(sub=self.member_id)
        return web.json_response({"tokens": self.pair(0) | {"access_token": access_token}})

    async def _check(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        decision = self._decision(body)
        await asyncio.sleep(self.check_delay)
        return self.check_reply(request) if self.check_reply else web.json_response(decision)

    async def _batch_check(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        decisions = [self._decision(one) for one in body["checks"]]
        reply = web.json_response({"results": decisions})
        return self.check_reply(request) if self.check_reply else reply

    def _decision(self, body: dict[str, Any]) -> dict[str, Any]:
        resource = body.get("resource")
        if resource == "Content:broken":
            return {"error": {"type": "urn:kleis:problem:invalid", "title": "Bad", "status": 400}}
        asked = (body["subject"], body.get("permission") or body["action"], resource)
        allowed = asked in self.allowed
        reason = "allowed" if allowed else "denied"
        return {"allowed": allowed, "reason": reason, "epoch": str(len(self.epoch_messages))}

    async def _epochs(self, request: web.Request) -> web.Response:
        since = request.query.get("since")
        if since is None:
            cursor = str(len(self.epoch_messages))
            return web.json_response(
                {"cursor": cursor, "subjects": [], "edges": False, "reset": True}
            )
        seen = int(since)
        await self._hold(request, lambda: len(self.epoch_messages) > seen)
        news = self.epoch_messages[seen:]
        body = {
            "cursor": str(len(self.epoch_messages)),
            "subjects": [subject for message in news for subject in message["subjects"]],
            "edges": any(message["edges"] for message in news),
            "reset": any(message["reset"] for message in news),
        }
        return web.json_response(body)

    async def _hold(self, request: web.Request, is_over: Callable[[], bool]) -> None:
        """Wait until something changed, at most as long as the caller asked for."""
        wait = float(request.query.get("wait", "0"))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while not is_over():
                    self._changed.clear()
                    await self._changed.wait()


def encoded(value: object) -> str:
    """Return a segment of a token."""
    return jwt.utils.base64url_encode(json.dumps(value).encode()).decode()
