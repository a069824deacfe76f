"""HTTP/1.1 as the edge takes it: uvicorn's, with bounds before there is a request at all.

uvicorn over httptools reads headers without a limit of bytes or time, and puts trailers among the
headers: what a proxy in front cleans from a header would come back behind the body.
Source: uvicorn 0.54, `protocols/http/httptools_impl.py`; trailers: RFC 9110, section 6.5.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from integration.edge.asgi import RawHeaders
from integration.edge.headers import MAX_HEADER_BYTES
from integration.edge.joined_writes import JoinedWrites
from integration.edge.sessions import hot_whoami

_STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
_TOO_LARGE = "The request header is too large."


AtOnce: TypeAlias = Callable[[RawHeaders], tuple[RawHeaders, bytes] | None]


class _Answered:
    """Stands where uvicorn looks for the request it is answering: that one is done."""

    response_complete = True
    disconnected = False
    keep_alive = True

    class message_event:  # noqa: N801 - uvicorn's name
        @staticmethod
        def set() -> None:
            """Nobody waits."""


_ANSWERED = _Answered()


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        header_seconds: How long a header may take, from its first byte; the first one from the
            opening of the connection.
        max_barren_bytes: How much may come without ending a header or bringing body: a header,
            a trailer, the extension of a chunk.
    """

    header_seconds = 10.0
    max_barren_bytes = 2 * MAX_HEADER_BYTES

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reads_header = False
        self._got_on = False
        self._barren_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        # Of our application; of another one there is no answer without a task.
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joined = JoinedWrites(transport, self.loop)
        self.transport = cast("asyncio.Transport", self._joined)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._got_on = False
        super().data_received(data)
        self._barren_bytes = 0 if self._got_on else self._barren_bytes + len(data)
        if self.transport.is_closing():
            return
        if self._barren_bytes > self.max_barren_bytes:
            self.send_400_response(_TOO_LARGE)
        elif self._reads_header and self._patience is None:
            self._wait()

    def on_message_begin(self) -> None:
        self._reads_header = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reads_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reads_header = False
        self._got_on = True
        self._stop_waiting()
        if self.url != hot_whoami.PATH or not self._answered_at_once():
            super().on_headers_complete()

    def _answered_at_once(self) -> bool:
        """Answer from memory where nothing has to be waited for; False: it takes the usual way.

        A task, its events and two messages cost more than all the rest of a session check.
        """
        parser, busy = self.parser, self.cycle is not None and not self.cycle.response_complete
        if self._at_once is None or busy or self.flow.write_paused or self.transport.is_closing():
            return False
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1":
            return False
        if not parser.should_keep_alive() or parser.should_upgrade():
            return False
        found = self._at_once(self.headers)
        if found is None:
            return False
        fields, body = found
        lines = [b"%b: %b\r\n" % field for field in (*self.server_state.default_headers, *fields)]
        self._joined.write_whole(b"".join([_STATUS_LINE, *lines, b"\r\n", body]))
        self.cycle = cast("RequestResponseCycle", _ANSWERED)
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        self._joined.flush()
        super().on_response_complete()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._got_on = True
        super().on_message_complete()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # The header is of a request that waits its turn behind one being answered.
            self._wait()
        else:
            self.transport.close()
