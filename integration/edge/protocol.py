"""HTTP/1.1 as the edge takes it: uvicorn's, with bounds before there is a request at all.

uvicorn over httptools reads headers without a limit of bytes or time, and puts trailers among the
headers: what a proxy in front cleans from a header would come back behind the body.
Source: uvicorn 0.54, `protocols/http/httptools_impl.py`; trailers: RFC 9110, section 6.5.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from integration.edge.headers import MAX_HEADER_BYTES

_TOO_LARGE = "The request header is too large."


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
        super().on_headers_complete()

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
