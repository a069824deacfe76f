"""Session checks that are answered without a task: on the wire they are like all others."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from integration.edge.asgi import RawHeaders, Receive, Scope, Send
from integration.edge.protocol import EdgeProtocol
from tests.edge_stage import PATIENCE, free_port

CHECK = b"GET /sessions/whoami HTTP/1.1\r\nHost: x\r\nX-Session-Token: known\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"


class Application:
    """Remembers one session; says of everything else how it was asked."""

    def at_once(self, fields: RawHeaders) -> tuple[RawHeaders, bytes] | None:
        if (b"x-session-token", b"known") not in fields:
            return None
        return [(b"content-length", b"6"), (b"x-kind", b"session")], b"memory"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        text = f"{scope['method']} {scope['path']}".encode()
        length = (b"content-length", str(len(text)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    chosen = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            Application(),
            port=chosen,
            http=EdgeProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            # A connection that is to be upgraded is read no further, and closed when it is idle.
            timeout_keep_alive=1,
            proxy_headers=False,
            server_header=False,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield chosen
    server.should_exit = True
    thread.join()


def said(port: int, sent: bytes) -> bytes:
    """Return what comes back on one connection until the other side has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(sent + b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def bodies(answer: bytes) -> list[bytes]:
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        found.append(rest[:length])
        answer = rest[length:]
    return found


def test_a_check_is_answered_from_memory_with_date_and_fields(port):
    answer = said(port, CHECK + b"\r\n")
    assert bodies(answer) == [b"memory", b"GET /end"]
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"x-kind: session" in head
    assert b"\r\ndate: " in head


def test_checks_and_others_sent_ahead_are_answered_in_turn(port):
    """A check behind a request that is not done takes the usual way, in its turn."""
    sent = CHECK + b"\r\n" + CHECK + b"\r\n" + OTHER + CHECK + b"\r\n" + OTHER
    first, second, third, fourth, fifth, end = bodies(said(port, sent))
    assert (first, second) == (b"memory", b"memory")
    assert (third, fifth, end) == (b"GET /other", b"GET /other", b"GET /end")
    assert fourth in (b"memory", b"GET /sessions/whoami")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        pytest.param(CHECK.replace(b"known", b"other"), b"GET /sessions/whoami", id="unknown"),
        pytest.param(CHECK.replace(b"GET", b"HEAD"), None, id="head"),
        pytest.param(CHECK.replace(b"GET", b"POST"), b"POST /sessions/whoami", id="post"),
        pytest.param(CHECK.replace(b"whoami", b"whoami?x=1"), b"GET /sessions/whoami", id="query"),
        pytest.param(CHECK.replace(b"/s", b"//s", 1), b"GET //sessions/whoami", id="spelling"),
        pytest.param(CHECK + b"Upgrade: h2c\r\nConnection: upgrade\r\n", None, id="upgrade"),
    ],
)
def test_what_is_no_plain_check_takes_the_usual_way(port, sent, answered):
    answer = said(port, sent + b"\r\n")
    assert b"memory" not in answer
    if answered is not None:
        assert bodies(answer)[0] == answered


def test_whoever_wants_the_connection_closed_gets_it_closed(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(CHECK + b"Connection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert b"connection: close" in received.lower()
