"""Bytes that were made to be misread, against the real edge on a real port."""

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator

import pytest

from tests.edge_stage import (
    PATIENCE,
    Upstream,
    ask,
    edge_running,
    last,
    settings_for,
    upstream_running,
)

FLOW = "/self-service/login?flow=3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11"
JSON = {"Content-Type": "application/json"}
POST = f"POST {FLOW} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
GET = b"GET /schemas HTTP/1.1\r\nHost: x\r\n"
SILENCE = 0.5
"""Seconds after which nothing more is expected, where an answer has come."""
SMUGGLED = b"GET /admin/identities HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_running() as running:
        yield running


@pytest.fixture(scope="module")
def edge(upstream) -> Iterator[int]:
    with edge_running(settings_for(upstream.port)) as port:
        yield port


def exchange(port: int, sent: bytes, *, answers: int = 1) -> bytes:
    """Send bytes as they are; return what comes until the server closes or is silent.

    Args:
        answers: How many have to come before silence counts, unless the server closes.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        got = b""
        # A server that closes early may leave nothing to read, and a reset.
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(sent)
            while received := connection.recv(65_536):
                got += received
                if got.count(b"HTTP/1.1 ") >= answers:
                    connection.settimeout(SILENCE)
        return got


def is_closed_on(port: int, sent: bytes) -> tuple[bytes, bool]:
    """Return what comes, and whether the server closed the connection by itself."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        got = b""
        try:
            connection.sendall(sent)
            while received := connection.recv(65_536):
                got += received
        except ConnectionError:
            return got, True
        except TimeoutError:
            return got, False
        return got, True


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


# Where one message ends


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 2\r\nContent-Length: 44\r\n", id="two-lengths"),
        pytest.param(b"Content-Length: 2\r\nContent-Length: 2\r\n", id="one-length-twice"),
        pytest.param(b"Content-Length: 2, 2\r\n", id="list-of-lengths"),
        pytest.param(
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", id="length-and-chunks"
        ),
        pytest.param(
            b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", id="chunks-and-length"
        ),
        pytest.param(b"Transfer-Encoding : chunked\r\n", id="space-before-colon"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="unknown-coding"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="chunked-not-last"),
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n", id="gzip-coding"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", id="two-codings"
        ),
        pytest.param(b"Transfer-Encoding:\r\n chunked\r\n", id="folded-coding"),
        pytest.param(b"X-Any: a\r\n b\r\nContent-Length: 2\r\n", id="obs-fold"),
        pytest.param(b"Content-Length: +2\r\n", id="signed-length"),
        pytest.param(b"Content-Length: -2\r\n", id="negative-length"),
        pytest.param(b"Content-Length: 0x2\r\n", id="hexadecimal-length"),
        pytest.param(b"Content-Length: 99999999999999999999\r\n", id="length-beyond-64-bits"),
        pytest.param(b"X-Any: a\x00b\r\nContent-Length: 2\r\n", id="null-in-header"),
        pytest.param(b"X-Any: a\rb\r\nContent-Length: 2\r\n", id="bare-cr-in-header"),
        pytest.param(b"X Any: a\r\nContent-Length: 2\r\n", id="space-in-name"),
    ],
)
def test_a_message_whose_end_could_be_misread_reaches_nobody(edge, upstream, head):
    before = len(upstream.seen)

    answer = exchange(edge, POST + head + b"\r\n{}" + SMUGGLED)

    assert status_of(answer) in (400, 501)
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert len(upstream.seen) == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"2\r\n{}xx0\r\n\r\n", id="too-long-chunk"),
        pytest.param(b"2\n{}\n0\n\n", id="bare-line-feeds"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", id="negative-size"),
        pytest.param(b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n", id="size-beyond-64-bits"),
        pytest.param(b"2 \r\n{}\r\n0\r\n\r\n", id="space-after-size"),
    ],
)
def test_a_broken_chunk_reaches_nobody(edge, upstream, body):
    before = len(upstream.seen)

    answer = exchange(edge, POST + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    assert status_of(answer) == 400
    assert len(upstream.seen) == before


def test_a_trailer_is_no_part_of_the_header(edge, upstream):
    trailer = b"Cookie: sneaked=1\r\nContent-Type: text/plain\r\nX-Sneaked: 1\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + trailer + b"\r\n"

    exchange(edge, POST + chunks)

    assert upstream.seen[-1]["body"] == b"{}"
    assert last(upstream)["content-type"] == "application/json"
    assert "cookie" not in last(upstream)
    assert "x-sneaked" not in last(upstream)


def test_two_requests_in_one_packet_are_two_requests(edge, upstream):
    before = len(upstream.seen)

    answer = exchange(edge, (GET + b"\r\n") * 2, answers=2)

    assert answer.count(b"HTTP/1.1 200") == 2
    assert len(upstream.seen) == before + 2


# What is asked for, and of whom


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET http://evil.test HTTP/1.1\r\nHost: x\r\n", 400, id="no-path"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n", 400, id="asterisk"),
        pytest.param(b"CONNECT kratos:4434 HTTP/1.1\r\nHost: x\r\n", 400, id="connect"),
        pytest.param(b"GET //admin/identities HTTP/1.1\r\nHost: x\r\n", 400, id="two-slashes"),
        pytest.param(b"GET /a\\..\\admin HTTP/1.1\r\nHost: x\r\n", 400, id="backslash"),
        pytest.param(b"GET /schemas/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n", 400, id="raw-utf-8"),
        pytest.param(b"GET /schemas HTTP/1.1\r\nHost: x\r\nHost: y\r\n", 400, id="two-hosts"),
        pytest.param(b"GET /schemas HTTP/1.1\r\n", 400, id="no-host"),
        pytest.param(b"GET /schemas HTTP/9.9\r\nHost: x\r\n", 400, id="unknown-version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="tls-hello"),
    ],
)  # fmt: skip
def test_an_odd_target_reaches_nobody(edge, upstream, head, status):
    before = len(upstream.seen)

    assert status_of(exchange(edge, head + b"\r\n")) == status
    assert len(upstream.seen) == before


def test_an_absolute_target_goes_where_its_path_says_and_its_host_counts_for_nothing(
    edge, upstream
):
    answer = exchange(edge, b"GET http://evil.test/schemas HTTP/1.1\r\nHost: x\r\n\r\n")

    assert status_of(answer) == 200
    assert upstream.seen[-1]["target"] == "/schemas"
    assert "evil.test" not in str(upstream.seen[-1])

    before = len(upstream.seen)
    admin = b"GET http://evil.test/admin/identities HTTP/1.1\r\nHost: x\r\n\r\n"
    assert status_of(exchange(edge, admin)) == 401
    assert len(upstream.seen) == before


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_no_connection_is_upgraded(edge, upstream, protocol):
    upgrade = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )

    answer = exchange(edge, GET + upgrade + b"\r\n")

    assert status_of(answer) == 200
    assert "upgrade" not in last(upstream)
    assert last(upstream).get("connection", "").lower() != "upgrade"


# Too much, too slowly


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(GET + b"".join(b"X-%d: y\r\n" % n for n in range(200)), id="200-fields"),
        pytest.param(GET + b"X-Any: " + b"y" * 70_000 + b"\r\n", id="70-kB-field"),
    ],
)
def test_a_header_beyond_the_bound_is_refused_in_words(edge, upstream, flood):
    before = len(upstream.seen)

    answer = exchange(edge, flood + b"\r\n")

    assert status_of(answer) == 431
    assert json.loads(body_of(answer))["error"]["code"] == 431
    assert len(upstream.seen) == before


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(GET + b"X-Any: " + b"y" * 20_000_000, id="endless-field"),
        pytest.param(GET + b"X: y\r\n" * 3_000_000, id="endless-fields"),
        pytest.param(b"GET /" + b"y" * 20_000_000, id="endless-target"),
    ],
)
def test_a_header_without_an_end_is_cut_off(edge, upstream, flood):
    before = len(upstream.seen)

    answer, is_closed = is_closed_on(edge, flood)

    assert answer == b"" or status_of(answer) in (400, 431)
    assert is_closed
    assert len(upstream.seen) == before
    assert ask(edge, "GET", "/schemas").status == 200


def test_a_body_that_comes_too_slowly_is_refused(upstream):
    before = len(upstream.seen)

    with edge_running(settings_for(upstream.port, forward_timeout="PT1S")) as impatient:
        answer = exchange(impatient, POST + b"Content-Length: 1000\r\n\r\n{ ")

    assert status_of(answer) == 408
    assert b"connection: close" in answer.lower()
    assert len(upstream.seen) == before


def test_a_password_of_five_megabytes_is_refused(edge, upstream):
    before = len(upstream.seen)
    body = json.dumps({"method": "password", "password": "x" * 5_000_000}).encode()

    answer = ask(edge, "POST", FLOW, headers=JSON, body=body)

    assert answer.status == 413
    assert len(upstream.seen) == before


# Bodies that are not what they say


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param(JSON, b'{"password": "\xff\xfe"}', 400, id="invalid-utf-8"),
        pytest.param(JSON, "{}".encode("utf-16"), 400, id="utf-16"),
        pytest.param(JSON, b"\xef\xbb\xbf{}", 400, id="byte-order-mark"),
        pytest.param(JSON, b'{"password": "a"} {"password": "b"}', 400, id="two-documents"),
        pytest.param(JSON, b'{"password":"a","password":"b"}', 400, id="doubled-name"),
        pytest.param(JSON, b'{"password":"a","Password":"b"}', 400, id="name-in-two-cases"),
        pytest.param(JSON, b'{"traits":{"email":"a","email":"b"}}', 400, id="doubled-inside"),
        pytest.param(JSON, b'{"password": NaN}', 400, id="not-a-number"),
        pytest.param(JSON, b'[{"password": "a"}]', 400, id="list"),
        pytest.param(JSON | {"Content-Encoding": "gzip"}, gzip.compress(b"{}"), 400, id="gzip"),
        pytest.param({"Content-Type": "text/plain"}, b"{}", 415, id="text"),
        pytest.param({"Content-Type": "application/xml"}, b"<x/>", 415, id="xml"),
        pytest.param(
            {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415, id="parts"
        ),
        pytest.param({"Content-Type": "application/json, text/plain"}, b"{}", 415, id="two-types"),
        pytest.param({}, b"{}", 415, id="no-type"),
        pytest.param(
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"password=a&password=b",
            400,
            id="doubled-field",
        ),
        pytest.param(
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"password=a;password=b",
            400,
            id="semicolon",
        ),
        pytest.param(
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"password=%zz",
            400,
            id="broken-escape",
        ),
    ],
)
def test_a_body_that_could_be_misread_reaches_nobody(edge, upstream, headers, body, status):
    before = len(upstream.seen)

    answer = ask(edge, "POST", FLOW, headers=headers, body=body)

    assert answer.status == status
    assert answer.json()["error"]["code"] == status
    assert len(upstream.seen) == before


def test_two_content_types_reach_nobody(edge, upstream):
    before = len(upstream.seen)
    head = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n"

    assert status_of(exchange(edge, POST + head + b"{}")) == 415
    assert len(upstream.seen) == before


# Cookies


def test_our_cookies_on_a_native_flow_stay_with_us(edge, upstream):
    """Kratos refuses a native flow that has any cookie."""
    cookies = {"Cookie": "kleis_device=1; __Host-kleis_x=2; __Secure-kleis_y=3"}

    ask(edge, "GET", "/self-service/login/api", headers=cookies)

    assert "cookie" not in last(upstream)
