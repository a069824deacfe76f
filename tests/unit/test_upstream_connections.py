"""Kept connections to an upstream: what is asked, and what counts as its answer."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from integration.edge.upstream_connections import (
    BrokenAnswerError,
    UpstreamAnswer,
    UpstreamConnections,
)


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def before(serve, ask, *, user: str = "") -> int:
    """Run `ask(connections)` before a server; return how many connections it had."""
    met = 0

    async def one(reader, writer) -> None:
        nonlocal met
        met += 1
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(one, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        base = f"http://{user}127.0.0.1:{port}/below/"
        connections = UpstreamConnections(base, connect_seconds=2.0)
        try:
            await ask(connections)
        finally:
            connections.close()
            listening.close()
            await listening.wait_closed()

    asyncio.run(run())
    return met


def saying(text: bytes):
    """Return a server that answers the first question so, and leaves."""

    async def serve(reader, writer) -> None:
        await _head(reader)
        writer.write(text)
        await writer.drain()

    return serve


async def get(connections: UpstreamConnections) -> UpstreamAnswer:
    return await connections.ask("GET", "/x", [], None, may_repeat=False)


def answered(text: bytes) -> UpstreamAnswer:
    answers = []

    async def ask(connections) -> None:
        answers.append(await get(connections))

    before(saying(text), ask)
    return answers[0]


def test_a_question_is_on_the_wire_what_was_said():
    seen = []

    async def serve(reader, writer) -> None:
        head = await _head(reader)
        seen.append(head + await reader.readexactly(3))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        seen.append(await _head(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def ask(connections) -> None:
        fields = [(b"x-a", b"1"), (b"x-a", "ü".encode())]
        await connections.ask("PUT", "/a%20b?c=%2F&d", fields, b"abc", may_repeat=False)
        await connections.ask("DELETE", "/a", [], None, may_repeat=False)

    before(serve, ask)
    first, second = (text.partition(b"\r\nHost: 127.0.0.1:") for text in seen)
    assert first[0] == b"PUT /below/a%20b?c=%2F&d HTTP/1.1"
    assert first[2].partition(b"\r\n")[2] == (
        b"x-a: 1\r\nx-a: \xc3\xbc\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert second[0] == b"DELETE /below/a HTTP/1.1"
    assert second[2].partition(b"\r\n")[2] == b"Content-Length: 0\r\n\r\n"


def test_a_credential_of_the_question_stands_before_that_of_the_address():
    seen = []

    async def serve(reader, writer) -> None:
        seen.append(await _head(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def ask(connections) -> None:
        given = [(b"authorization", b"Bearer x")]
        await connections.ask("GET", "/", given, None, may_repeat=False)

    before(serve, ask, user="kleis:secret@")
    assert seen[0].lower().count(b"authorization:") == 1
    assert b"authorization: Bearer x\r\n" in seen[0]


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/", (b"x-a", b"1\r\nx-b: 2")),
        ("/", (b"x-a", b"1\n")),
        ("/", (b"x-a\r", b"1")),
        ("/a HTTP/1.1\r\nx: y", (b"x-a", b"1")),
        ("/a b", (b"x-a", b"1")),
    ],
)
def test_what_could_be_read_as_another_question_is_not_asked(target, field):
    async def ask(connections) -> None:
        with pytest.raises(ValueError, match="another"):
            await connections.ask("GET", target, [field], None, may_repeat=True)

    assert before(saying(b""), ask) == 0


def test_fields_of_an_answer_stay_as_they_came_and_each_apart():
    text = (
        b"HTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\n{}"
    )

    assert answered(text) == UpstreamAnswer(
        201,
        [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Content-Length", b"2")],
        b"{}",
    )


def test_what_comes_before_the_answer_and_behind_its_body_is_not_part_of_it():
    text = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nSet-Cookie: a=1\r\n\r\n"
    )

    answer = answered(text)

    assert (answer.status, answer.body) == (200, b"{}")
    assert [name for name, _ in answer.headers] == [b"Transfer-Encoding"]


def test_an_answer_without_a_length_ends_with_its_connection():
    assert answered(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}").body == b"{}"


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"y" * 70_000 + b"\r\n\r\n",
        b"220 mail.example.test\r\n",
    ],
)
def test_what_breaks_off_or_is_something_else_is_no_answer(text):
    async def ask(connections) -> None:
        with pytest.raises(BrokenAnswerError):
            await get(connections)

    before(saying(text), ask)


def test_a_write_is_not_repeated_when_nobody_can_tell_whether_it_was_done():
    seen = []

    async def serve(reader, writer) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        seen.append(await _head(reader))

    async def ask(connections) -> None:
        await get(connections)
        with pytest.raises(ConnectionResetError):
            await connections.ask("POST", "/x", [], None, may_repeat=False)
        await get(connections)
        assert (await connections.ask("GET", "/x", [], None, may_repeat=True)).status == 204

    before(serve, ask)
    assert [text.split()[0] for text in seen] == [b"POST", b"GET"]


def test_who_does_not_let_us_in_in_time_is_not_there():
    async def run(port: int) -> None:
        connections = UpstreamConnections(f"http://127.0.0.1:{port}", connect_seconds=0.05)
        with pytest.raises(OSError, match="in time"):
            await get(connections)

    with ExitStack() as stack:
        # Listens, takes nobody, and has no room for more to wait.
        door = stack.enter_context(socket.socket())
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(door.getsockname())
        asyncio.run(run(door.getsockname()[1]))
