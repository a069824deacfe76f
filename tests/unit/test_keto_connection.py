"""Kept connections to Keto, before a small server that behaves as a test says."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from integration.edge.decisions.keto_connection import BrokenAnswerError, KetoConnections

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, *, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


async def question(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
    return head + (await reader.readexactly(int(length[0].split(b":")[1])) if length else b"")


class Server:
    """Serves each connection by `serve`; counts them."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = 0
        self.asked: list[bytes] = []

    async def met(self, reader, writer) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def before(serve: Serve, ask, *, path: str = "", user: str = "") -> Server:
    """Run `ask(connections)` before a server."""
    server = Server(serve)

    async def run() -> None:
        listening = await asyncio.start_server(server.met, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        keto = KetoConnections(f"http://{user}127.0.0.1:{port}{path}", connect_seconds=2.0)
        try:
            await ask(keto)
        finally:
            keto.close()
            listening.close()
            await listening.wait_closed()

    asyncio.run(run())
    return server


async def always(reader, writer) -> None:
    while True:
        await question(reader)
        writer.write(answer(b'{"allowed":true}'))


def test_questions_share_a_connection_and_only_as_many_are_open_as_ask_at_once():
    async def ask(keto):
        for _ in range(5):
            assert await keto.ask("/check", b"{}") == (200, b'{"allowed":true}')
        answers = await asyncio.gather(*(keto.ask("/check", b"{}") for _ in range(3)))
        assert {status for status, _ in answers} == {200}

    assert before(always, ask).connections == 3


def test_a_question_is_what_was_said_and_goes_below_the_path():
    seen = []

    async def serve(reader, writer):
        while True:
            seen.append(await question(reader))
            writer.write(answer(b"{}", status=b"404 Not Found"))

    async def ask(keto):
        assert (await keto.ask("/list?page_size=1", None))[0] == 404
        await keto.ask("/check", b'{"a":1}')

    before(serve, ask, path="/keto/")

    assert seen[0].startswith(b"GET /keto/list?page_size=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[1].startswith(b"POST /keto/check HTTP/1.1\r\n")
    assert seen[1].endswith(b'Content-Length: 7\r\n\r\n{"a":1}')


def test_who_the_address_names_is_told():
    seen = []

    async def serve(reader, writer):
        seen.append(await question(reader))
        writer.write(answer(b"{}"))

    async def ask(keto):
        await keto.ask("/check", b"{}")

    before(serve, ask, user="kleis:s%40cret@")

    assert b"\r\nAuthorization: Basic a2xlaXM6c0BjcmV0\r\n" in seen[0]
    assert b"\r\nHost: 127.0.0.1:" in seen[0]


def test_an_answer_in_pieces_and_in_chunks_is_whole():
    async def serve(reader, writer):
        await question(reader)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for piece in (head, b'4\r\n{"al\r\n', b"3\r\nlow\r\n0\r\n", b"\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def ask(keto):
        assert await keto.ask("/check", b"{}") == (200, b'{"allow')

    before(serve, ask)


def test_a_connection_that_was_closed_meanwhile_costs_no_answer():
    async def serve(reader, writer):
        await question(reader)
        writer.write(answer(b"{}"))
        await question(reader)
        # Left without a word, as a server does that was restarted.

    async def ask(keto):
        for _ in range(4):
            assert (await keto.ask("/check", b"{}"))[0] == 200

    before(serve, ask)


def test_an_answer_that_says_it_is_the_last_is_the_last():
    async def serve(reader, writer):
        await question(reader)
        writer.write(answer(b"{}", more=b"Connection: close\r\n"))
        await reader.read()

    async def ask(keto):
        for _ in range(3):
            assert (await keto.ask("/check", b"{}"))[0] == 200

    assert before(serve, ask).connections == 3


@pytest.mark.parametrize(
    "said", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 2"]
)
def test_what_is_no_answer_is_none(said):
    async def serve(reader, writer):
        await question(reader)
        writer.write(said)

    async def ask(keto):
        with pytest.raises(BrokenAnswerError):
            await keto.ask("/check", b"{}")

    before(serve, ask)


def test_an_endless_answer_ends():
    async def serve(reader, writer):
        await question(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        while True:
            writer.write(b"x" * 1_000_000)
            await writer.drain()

    async def ask(keto):
        with pytest.raises(BrokenAnswerError):
            await keto.ask("/check", b"{}")

    before(serve, ask)


def test_who_gives_up_leaves_no_answer_behind_for_the_next():
    async def serve(reader, writer):
        await question(reader)
        await asyncio.sleep(0.2)
        writer.write(answer(b'{"late":1}'))
        await reader.read()

    async def ask(keto):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await keto.ask("/check", b"{}")
        assert await keto.ask("/check", b"{}") == (200, b'{"late":1}')

    assert before(serve, ask).connections == 2


def test_what_comes_unasked_is_never_an_answer():
    async def serve(reader, writer):
        await question(reader)
        writer.write(answer(b"{}") + answer(b'{"allowed":true}'))
        await reader.read()

    async def ask(keto):
        await keto.ask("/check", b"{}")
        await asyncio.sleep(0.05)
        assert await keto.ask("/check", b"{}") == (200, b"{}")

    before(serve, ask)


def test_nobody_there_is_an_error():
    async def ask(keto):
        gone = KetoConnections("http://127.0.0.1:1", connect_seconds=1.0)
        with pytest.raises(OSError, match="onne"):
            await gone.ask("/check", b"{}")

    before(always, ask)
