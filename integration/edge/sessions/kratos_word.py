"""Kratos' word on whose session a request is about, where a wrong word would not do."""

from integration.edge.admin.plans import object_in
from integration.edge.asgi import header
from integration.edge.forwarding import Forwarder
from integration.edge.problems import UPSTREAM_DOWN, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.sessions.known_session import ShownSession, read_session
from integration.edge.sessions.member_status import IDENTITY_HEADER

NATIVE_LOGOUT = "/self-service/logout/api"
_WHOAMI = "/sessions/whoami"
_READY = "/health/ready"


class KratosWord:
    """Asks `whoami`, and nobody's memory."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    async def surely(self, request: Request, body: bytes = b"") -> ShownSession | None:
        """Return the session that a request is about to end, or comes with; None: surely none.

        Kratos answers 401 also when its database fails: it is asked whether it is well, and again.

        Args:
            body: Of a native logout, which names the session's token.

        Raises:
            RefusedError: Kratos cannot say.
        """
        shown = await self.now(request, body)
        if shown is not None:
            return shown
        well = await self._forwarder.fetch(Upstream.KRATOS_PUBLIC, _READY, "", request, body=b"")
        if well.status != 200:
            raise RefusedError(UPSTREAM_DOWN)
        return await self.now(request, body)

    async def now(self, request: Request, body: bytes = b"") -> ShownSession | None:
        """Return the session as `surely`, at its first word.

        Raises:
            RefusedError: as `surely`.
        """
        extra = None
        if request.path == NATIVE_LOGOUT:
            token = str((object_in(body) or {}).get("session_token") or "")
            if not token.isascii() or not token.isprintable():
                return None
            extra = [(b"x-session-token", token.encode())]
        answer = await self._forwarder.fetch(
            Upstream.KRATOS_PUBLIC,
            _WHOAMI,
            "",
            request,
            body=None if extra is None else b"",
            extra=extra,
        )
        if answer.status == 401:
            return None
        shown = read_session(header(answer.headers, IDENTITY_HEADER), answer.body)
        if answer.status != 200 or shown is None:
            raise RefusedError(UPSTREAM_DOWN)
        return shown
