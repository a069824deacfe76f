"""What one turn of the event loop writes to a client, sent as one piece.

An ASGI answer is at least two writes, its header and its body: two system calls here, two packets,
and a client that wakes up twice. On an uncached check that was a fifth of what the edge adds.
"""

import asyncio
from typing import Any

# More than that is sent at once: joining it would only copy it.
_MOST_BYTES = 65_536


class JoinedWrites:
    """A transport around another one; all but writing is the inner one's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._bytes = 0

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes > _MOST_BYTES:
            self.flush()

    def write_whole(self, data: bytes) -> None:
        """Send a whole answer: nothing follows that it could be joined with."""
        if self._waiting:
            self.write(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what waits: nothing more belongs to it."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
