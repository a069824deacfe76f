"""Sessions end at Kratos through the edge: our rows end with them before the client is answered.

Kratos is asked first: only it can tell whether a logout is the person's own wish (its CSRF token).
Whose session it is must be known before: while Kratos cannot say, nothing is asked to end. What it
ended and we cannot write down is answered with 503 and written as soon as PostgreSQL is back; until
then this edge remembers nothing of the member, and the others for no longer than their answers
live. Should the edge die in between, or Kratos' answer get lost, a worker compares its sessions
with ours a minute later (`FollowSessions`).
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from integration.edge.admin.plans import object_in
from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.forwarding import Forwarder
from integration.edge.problems import NOT_FOUND, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Route, Upstream
from integration.edge.sessions.current import Sessions
from integration.edge.sessions.gate import SessionGate
from integration.edge.sessions.known_session import ShownSession
from integration.edge.sessions.kratos_word import NATIVE_LOGOUT, KratosWord
from integration.edge.sessions.rows import SessionRows

log = structlog.get_logger()

_UUID = r"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
_OWN = re.compile(rf"/sessions/{_UUID}\Z")
_ADMIN = re.compile(rf"/admin/sessions/{_UUID}(/extend)?\Z")
_ALL_OF = re.compile(rf"/admin/identities/{_UUID}/sessions\Z")
LOGOUTS = frozenset({NATIVE_LOGOUT, "/self-service/logout"})
_RETRY_SECONDS = 0.5
_RETRIES = 240
# Kratos gives a request up after a minute: later than this it ends nothing any more.
_FOLLOWED_AFTER = timedelta(seconds=65)

Write = Callable[[], Awaitable[None]]


class SessionEndings:
    """Follows logouts, revocations and extensions."""

    def __init__(
        self, forwarder: Forwarder, sessions: Sessions, rows: SessionRows, epochs: Epochs
    ) -> None:
        self._forwarder = forwarder
        self._kratos = KratosWord(forwarder)
        self._sessions = sessions
        self._rows = rows
        self._epochs = epochs
        self._late: set[asyncio.Task[None]] = set()

    async def around_logout(
        self, request: Request, body: bytes, ask: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Return what `ask` returns; a logout has ended the session with us too.

        A form is sent away in either case: whether its session is over, Kratos tells.

        Raises:
            RefusedError: Kratos does not answer, or what it did could not be written down.
        """
        if request.path not in LOGOUTS:
            return await ask()
        before = await self.about_to_end(request, body)
        if before is None:
            return await ask()
        try:
            answer = await ask()
        except RefusedError:
            with contextlib.suppress(RefusedError):
                await self._end_if_over(request, body, before)
            raise
        if not 400 <= answer.status < 500:
            await self._end_if_over(request, body, before)
        return answer

    async def about_to_end(self, request: Request, body: bytes = b"") -> ShownSession | None:
        """Return the session that a request ends, or that ends others; None: there is none.

        Whatever Kratos then ends of this member ends with us too, whoever dies meanwhile. While
        PostgreSQL is away this edge alone remembers.

        Raises:
            RefusedError: Kratos cannot say.
        """
        session = await self._kratos.surely(request, body)
        if session is not None:
            with contextlib.suppress(RefusedError):
                await self._rows.follow(session.identity_id, after=_FOLLOWED_AFTER)
        return session

    async def _end_if_over(self, request: Request, body: bytes, before: ShownSession) -> None:
        if await self._kratos.now(request, body) is None:
            await self._end(before.identity_id, reason="logout", only=before.session_id)

    async def revoked(self, request: Request, session: ShownSession | None) -> None:
        """Follow a member that ended other sessions of its own. Raises as `around_logout`."""
        if session is None:
            return
        found = _OWN.match(request.path)
        if found is not None:
            await self._end(session.identity_id, reason="revoked", only=UUID(found[1]))
        elif request.path == "/sessions":
            await self._end(session.identity_id, reason="revoked", but=session.session_id)

    def require_plain(self, request: Request) -> None:
        """Refuse a session that is not written as a UUID: Kratos knows more ways, we follow one.

        Raises:
            RefusedError: 404.
        """
        is_below = request.path.startswith(("/sessions/", "/admin/sessions/"))
        if is_below and not (_OWN.match(request.path) or _ADMIN.match(request.path)):
            raise RefusedError(NOT_FOUND)

    async def administered(self, request: Request, answer: Answer) -> None:
        """Follow an admin's write to sessions. Raises as `around_logout`."""
        of_all = _ALL_OF.match(request.path)
        if of_all is not None and request.method == "DELETE" and _is_done_or_gone(answer):
            await self._end(UUID(of_all[1]), reason="revoked")
        found = _ADMIN.match(request.path)
        if found is None:
            return
        session_id = UUID(found[1])
        if request.method == "DELETE" and _is_done_or_gone(answer):
            await self._surely(lambda: self._rows.end_one(session_id, reason="revoked"))
        elif found[2] and request.method == "PATCH" and answer.status < 300:
            await self._extended(request, session_id, answer)

    async def finish(self) -> None:
        """Give late writes up: the edge ends, and what it remembers with it."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _extended(self, request: Request, session_id: UUID, answer: Answer) -> None:
        document = object_in(answer.body) or await self._shown(request, session_id)
        expires_at = _moment(document.get("expires_at"))
        if expires_at is not None:
            await self._surely(lambda: self._rows.extended(session_id, expires_at))

    async def _shown(self, request: Request, session_id: UUID) -> dict[str, Any]:
        path = f"/admin/sessions/{session_id}"
        answer = await self._forwarder.fetch(Upstream.KRATOS_ADMIN, path, "", request, body=b"")
        return object_in(answer.body) or {}

    async def _end(
        self, identity_id: UUID, *, reason: str, only: UUID | None = None, but: UUID | None = None
    ) -> None:
        self._sessions.forget(identity_id)
        await self._surely(lambda: self._rows.end(identity_id, reason=reason, only=only, but=but))

    async def _surely(self, write: Write) -> None:
        """Write, and hear of it; what fails is written later and refused now."""
        try:
            await write()
        except RefusedError:
            task = asyncio.create_task(self._later(write))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            raise
        await self._epochs.catch_up()

    async def _later(self, write: Write) -> None:
        for _ in range(_RETRIES):
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await write()
            except RefusedError:
                continue
            return
        log.error("session_end_not_written")


class SessionWrites:
    """Answers writes below `/sessions`."""

    def __init__(self, exchange: Exchange, gate: SessionGate, endings: SessionEndings) -> None:
        self._exchange = exchange
        self._gate = gate
        self._endings = endings

    async def revoke(self, request: Request, route: Route) -> Answer:
        """Pass a member's write to its sessions on, and follow it.

        Raises:
            RefusedError: Kratos does not answer, or what it did could not be written down.
        """
        self._endings.require_plain(request)
        body = await self._exchange.whole_body(request)
        instead = await self._gate.instead(request)
        if instead is not None:
            return instead
        session = await self._endings.about_to_end(request)
        answer = await self._exchange.ask(request, route, body=body)
        if request.method == "DELETE" and answer.status < 300:
            await self._endings.revoked(request, session)
        return self._exchange.judged(answer)


def _is_done_or_gone(answer: Answer) -> bool:
    return answer.status < 300 or answer.status == 404


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
