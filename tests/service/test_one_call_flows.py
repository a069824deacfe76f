"""The one-call login where it cannot be done, and what a client's odd words become on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from pydantic import AnyHttpUrl

from integration import on_behalf
from integration.service import make_api
from integration.services import make_services

_FLOW = b'{"ui": {"action": "http://edge/self-service/login?flow=0b1e7d5e", "nodes": []}}'
LOGIN = {"identifier": "ada@example.test", "password": "Correct-Horse-7"}


class EdgeDouble:
    """Plays the edge: starts a flow, and gives one answer to its submit."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        self.answer = (status, body, headers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []


@contextmanager
def serving(double: EdgeDouble) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, _FLOW, {})

        def do_POST(self) -> None:
            self._say(*double.answer)

        def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", "0")))
            named = {name.lower(): value for name, value in self.headers.items()}
            double.asked.append((urlsplit(self.path).path, named, sent))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def api_before(services: Any, double: EdgeDouble) -> Iterator[TestClient]:
    with serving(double) as url:
        settings = services.settings.model_copy(update={"edge_url": AnyHttpUrl(url)})
        made = make_services(settings, pool_size=1)
        edge = made.edge
        made.close()
        with TestClient(make_api(replace(services, edge=edge))) as client:
            yield client


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b'{"type": "urn:kleis:problem:busy"}'),
        (303, b""),
        (200, b"not JSON"),
        (200, b"[]"),
        (400, b"{}"),
        (400, b'{"ui": {"messages": null, "nodes": null}}'),
    ],
)
def test_an_answer_that_says_nothing_is_tried_again_later(services, status, body):
    with api_before(services, EdgeDouble(status, body)) as client:
        answer = client.post("/api/auth/login", json=LOGIN)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_a_limit_is_passed_on_with_its_wait(services):
    body = (
        b'{"type": "urn:kleis:problem:too_many_attempts", "title": "Too Many Requests",'
        b' "status": 429, "detail": "Wait.", "error": {"code": 429}}'
    )
    limited = EdgeDouble(429, body, **{"Retry-After": "1800", "Set-Cookie": "a=1"})
    with api_before(services, limited) as client:
        answer = client.post("/api/auth/login", json=LOGIN)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1800")
    assert "set-cookie" not in answer.headers
    assert "error" not in answer.json()


def test_the_clients_words_travel_and_its_cookies_do_not(services):
    double = EdgeDouble(500, b"{}")
    headers = {
        "User-Agent": "Caf\xe9/1.0".encode("latin-1"),
        "Cookie": "ory_kratos_session=x",
        "Authorization": "Bearer x",
        "True-Client-IP": "192.0.2.44",
    }
    with api_before(services, double) as client:
        client.post("/api/auth/login", json=LOGIN, headers=headers)
    secret = services.settings.secret.get_secret_value()
    assert [path for path, _, _ in double.asked] == [
        "/self-service/login/api",
        "/self-service/login",
    ]
    for path, sent, _ in double.asked:
        # The test's client sends UTF-8; byte by byte it arrives.
        assert sent["user-agent"].encode("latin-1").decode() == "Caf\xe9/1.0"
        assert "cookie" not in sent
        assert "authorization" not in sent
        moment = float(sent[on_behalf.HEADER].split(";")[1])
        said = on_behalf.read(secret, sent[on_behalf.HEADER], path, now=moment)
        assert said == "192.0.2.44"


def test_without_an_edge_nobody_logs_in(services):
    nowhere = services.settings.model_copy(update={"edge_url": AnyHttpUrl("http://127.0.0.1:9/")})
    made = make_services(nowhere, pool_size=1)
    flows = made.edge
    made.close()
    with TestClient(make_api(replace(services, edge=flows))) as client:
        assert client.post("/api/auth/login", json=LOGIN).status_code == 503
