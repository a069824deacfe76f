"""What a connection may do before there is a request: bounds that the HTTP server has not.

uvicorn reads a header of any length for any time, and takes the trailer of a chunked body for
more of the header, behind the back of whoever looked at the header. Source: uvicorn 0.54.
"""

import asyncio
from asyncio import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from integration.edge.canonical import MAX_TARGET_BYTES
from integration.edge.headers import MAX_HEADER_BYTES

# A little more than the header may have: what is only somewhat too long gets a full answer.
_LONGEST_BYTES = 2 * (MAX_HEADER_BYTES + MAX_TARGET_BYTES)
_LONGEST_SECONDS = 10.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class EdgeProtocol(HttpToolsProtocol):
    """uvicorn's own, bounded."""

    _in_header = True
    _header_bytes = 0
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_header:
            self._header_bytes += len(data)
        super().data_received(data)
        too_large = self._in_header and self._header_bytes > _LONGEST_BYTES
        if too_large and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._expect_header()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Else it is of the trailer (RFC 9110, section 6.5): nobody here has a use for one.
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_header = False
        self._stop_waiting()
        super().on_headers_complete()

    def _expect_header(self) -> None:
        self._in_header = True
        self._stop_waiting()
        self._deadline = self.loop.call_later(_LONGEST_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
