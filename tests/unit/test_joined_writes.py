"""Header and body go out together, in their order, whatever ends the connection."""

import asyncio

from integration.edge.joined_writes import JoinedWrites


class Wire(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def on_a_loop(work) -> Wire:
    wire = Wire()

    async def run() -> None:
        await work(JoinedWrites(wire, asyncio.get_running_loop()), wire)

    asyncio.run(run())
    return wire


def test_what_one_turn_writes_is_one_piece():
    async def work(joined, _):
        joined.write(b"head")
        joined.write(b"body")
        await asyncio.sleep(0)
        joined.write(b"next")
        await asyncio.sleep(0)

    assert on_a_loop(work).written == [b"headbody", b"next"]


def test_what_was_written_before_the_end_is_sent():
    async def work(joined, wire):
        joined.write(b"last")
        joined.close()
        assert (wire.written, wire.closed) == ([b"last"], True)
        joined.write(b"late")
        await asyncio.sleep(0)

    assert on_a_loop(work).written == [b"last"]


def test_a_whole_answer_never_passes_what_waits():
    async def work(joined, wire):
        joined.write_whole(b"first")
        assert wire.written == [b"first"]
        joined.write(b"second")
        joined.write_whole(b"third")
        await asyncio.sleep(0)

    assert on_a_loop(work).written == [b"first", b"secondthird"]


def test_much_does_not_wait_in_memory():
    async def work(joined, wire):
        for _ in range(4):
            joined.write(b"x" * 40_000)
        assert sum(map(len, wire.written)) >= 80_000
        await asyncio.sleep(0)

    assert b"".join(on_a_loop(work).written) == b"x" * 160_000
