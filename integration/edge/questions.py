"""Questions to Ory and the service that are small, and answered before anything is passed on."""

from integration.edge.asgi import Answer, RawHeaders
from integration.edge.routes import Upstream
from integration.edge.upstream_connections import UpstreamConnections, answered_within
from integration.edge.upstream_fields import UpstreamFields
from integration.settings import Settings

# Asked again where a kept connection turns out to be closed. Nobody can tell whether a write was
# done before it was.
_REPEATED = ("GET", "OPTIONS")


class Questions:
    """Asks, within the deadlines of the settings."""

    def __init__(self, settings: Settings, fields: UpstreamFields) -> None:
        self._fields = fields
        self._seconds = settings.forward_timeout.total_seconds()
        connect_seconds = settings.connect_timeout.total_seconds()
        self._connections = {
            upstream: UpstreamConnections(base, connect_seconds=connect_seconds)
            for upstream, base in fields.bases.items()
        }

    def close(self) -> None:
        for connections in self._connections.values():
            connections.close()

    async def ask(
        self, method: str, upstream: Upstream, target: str, fields: RawHeaders, body: bytes | None
    ) -> Answer:
        """Return the answer, its header cleaned.

        Args:
            method: Any but HEAD.
            target: Path and query.
            fields: Cleaned already.

        Raises:
            RefusedError: nobody answered, too late, or with more than can be judged.
        """
        async with answered_within(self._seconds):
            answer = await self._connections[upstream].ask(
                method, target, fields, body, may_repeat=method in _REPEATED
            )
        shown = self._fields.without_length(answer.headers, upstream)
        return Answer(answer.status, shown, answer.body)
