"""Connections to Keto's read port, over which nothing but questions goes."""

from integration.edge.asgi import RawHeaders
from integration.edge.upstream_connections import BrokenAnswerError, UpstreamConnections

__all__ = ["BrokenAnswerError", "KetoConnections"]

_READ: RawHeaders = [(b"accept", b"application/json")]
_ASKED: RawHeaders = [*_READ, (b"content-type", b"application/json")]


class KetoConnections:
    """Asks. `base` is the port's address, with any path. A question may be asked twice."""

    def __init__(self, base: str, *, connect_seconds: float) -> None:
        self._connections = UpstreamConnections(base, connect_seconds=connect_seconds)

    def close(self) -> None:
        self._connections.close()

    async def ask(self, target: str, body: bytes | None) -> tuple[int, bytes]:
        """Return status and body; a GET without a body. Raises as `UpstreamConnections.ask`."""
        method, fields = ("GET", _READ) if body is None else ("POST", _ASKED)
        answer = await self._connections.ask(method, target, fields, body, may_repeat=True)
        return answer.status, answer.body
