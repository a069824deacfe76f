"""Connections that never become a decent request, over real sockets."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from integration.edge.protocol import EdgeProtocol
from tests.edge_stage import PATIENCE, Upstream, edge_running, last, settings_for, upstream_running

CHUNKED = (
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
MEGABYTE = 1024 * 1024


class Impatient(EdgeProtocol):
    header_seconds = 0.3


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_running() as running:
        yield running


@pytest.fixture(scope="module")
def edge(upstream) -> Iterator[int]:
    settings = settings_for(upstream.port, trusted_proxies="127.0.0.1/32")
    with edge_running(settings, Impatient) as port:
        yield port


def connect(port: int) -> closing:
    return closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))


def everything(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def said(port: int, request: str) -> bytes:
    with connect(port) as connection:
        connection.sendall(request.encode())
        return everything(connection)


def is_cut_off(port: int, begin: bytes, megabyte: bytes) -> bool:
    """Tell whether the edge stops listening before 64 megabytes are through."""
    with connect(port) as connection:
        connection.sendall(begin)
        try:
            for _ in range(64):
                connection.sendall(megabyte)
        except ConnectionError:
            return True
    return False


def test_a_trailer_says_nothing_about_the_client(edge, upstream):
    """A proxy in front puts its own word in the header, and may pass a trailer on."""
    head = "POST /api/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n"
    trailer = "X-Forwarded-For: 203.0.113.66\r\nX-Late: yes\r\n"

    answer = said(edge, f"{head}{CHUNKED}2\r\n{{}}\r\n0\r\n{trailer}\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    seen = last(upstream)
    assert seen["true-client-ip"] == "198.51.100.7"
    assert "x-late" not in seen
    assert upstream.seen[-1]["body"] == b"{}"


def test_a_trailer_is_no_credential(edge):
    head = "POST /admin/identities HTTP/1.1\r\nHost: x\r\n"
    key = f"Authorization: Bearer kleis_{'0' * 16}_{'a' * 43}\r\n"

    answer = said(edge, f"{head}{CHUNKED}2\r\n{{}}\r\n0\r\n{key}\r\n")

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"api_key_required" in answer


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param("GET /", id="address"),
        pytest.param("GET / HTTP/1.1\r\nX-A: ", id="one-field"),
        pytest.param(
            f"POST /api/x HTTP/1.1\r\nHost: x\r\n{CHUNKED}2\r\n{{}}\r\n0\r\nX-A: ", id="trailer"
        ),
        pytest.param(f"POST /api/x HTTP/1.1\r\nHost: x\r\n{CHUNKED}2;", id="chunk-extension"),
    ],
)
def test_what_never_ends_is_cut_off(edge, begin):
    assert is_cut_off(edge, begin.encode(), b"a" * MEGABYTE)


def test_many_small_fields_are_cut_off(edge):
    assert is_cut_off(edge, b"GET / HTTP/1.1\r\n", b"X-A: a\r\n" * (MEGABYTE // 8))


@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_header_that_does_not_come_is_not_waited_for(edge, begin):
    with connect(edge) as connection:
        connection.sendall(begin)
        assert everything(connection) == b""


def test_a_header_has_some_seconds_where_nobody_says_otherwise():
    assert 5 < EdgeProtocol.header_seconds < 13


def test_a_second_header_on_a_kept_connection_is_not_waited_for_either(edge):
    with connect(edge) as connection:
        connection.sendall(b"GET /health/alive HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /health/alive HT")
        assert everything(connection) == b""


def test_a_slow_answer_and_a_slow_body_are_no_slow_header(edge):
    with connect(edge) as connection:
        connection.sendall(f"POST /api/x HTTP/1.1\r\nHost: x\r\n{CHUNKED}1\r\n{{\r\n".encode())
        time.sleep(0.6)
        connection.sendall(b"1\r\n}\r\n0\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_ahead_are_answered_in_turn(edge):
    one = b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(edge) as connection:
        connection.sendall(one + one + b"GET /chunks HT")
        answers = everything(connection)
    assert answers.count(b"HTTP/1.1 200 ") == 2
