"""What goes up with a question, and what comes down with its answer, besides their bodies."""

from collections.abc import Iterable

from integration.edge import headers
from integration.edge.asgi import RawHeaders
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.settings import Settings


class UpstreamFields:
    """Cleans header fields both ways.

    Attributes:
        bases: Each upstream's own address, without a slash at its end.
    """

    def __init__(self, settings: Settings) -> None:
        self.bases = {
            upstream: str(getattr(settings, upstream.value)).rstrip("/") for upstream in Upstream
        }
        self._public_url = str(settings.public_url).rstrip("/")
        self._host = self._public_url.partition("://")[2]
        self._scheme = settings.public_url.scheme

    def upwards(
        self, request: Request, upstream: Upstream, *, drop_credentials: bool
    ) -> RawHeaders:
        """Return a request's fields and ours, without host and length."""
        fields = headers.upwards(
            request.headers,
            keep_our_cookies=upstream is Upstream.SERVICE,
            drop_credentials=drop_credentials,
        )
        if upstream is not Upstream.SERVICE:
            fields = [field for field in fields if field[0] != b"accept-encoding"]
        return fields + self.decided_here(request)

    def decided_here(self, request: Request) -> RawHeaders:
        """Return the fields Kratos and the service may believe.

        With them, `request_url` in hooks shows the public address.
        """
        return [
            (b"true-client-ip", request.client_address.encode()),
            (b"x-forwarded-for", request.client_address.encode()),
            (b"x-forwarded-host", self._host.encode()),
            (b"x-forwarded-proto", self._scheme.encode()),
            (b"x-request-id", request.id.encode()),
        ]

    def downwards(self, fields: Iterable[tuple[bytes, bytes]], upstream: Upstream) -> RawHeaders:
        """Return an answer's header with the upstream's own address made public.

        Kratos writes its admin address into `Link` and `Location`.
        """
        private, public = self.bases[upstream].encode(), self._public_url.encode()
        return [
            (name, value.replace(private, public) if name in (b"link", b"location") else value)
            for name, value in headers.downwards(fields)
        ]

    def without_length(
        self, fields: Iterable[tuple[bytes, bytes]], upstream: Upstream
    ) -> RawHeaders:
        """As `downwards`, of an answer that is held as a whole."""
        return [each for each in self.downwards(fields, upstream) if each[0] != b"content-length"]


def target(path: str, query: str) -> str:
    """Return what a request line names."""
    return f"{path}?{query}" if query else path
