"""One HTTP client serves many people: what one is sent, no other brings along."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integration.ory.transport import make_client

SECOND = timedelta(seconds=5)


class Baker(BaseHTTPRequestHandler):
    """Sets a session and answers with the cookies it was sent."""

    def do_GET(self) -> None:
        body = self.headers.get("cookie", "").encode()
        self.send_response(200)
        self.send_header("Set-Cookie", "ory_kratos_session=somebody; Path=/; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Baker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_no_cookie_of_one_answer_goes_out_with_the_next_request(url):
    with make_client(url, timeout=SECOND, connect_timeout=SECOND) as client:
        assert [client.get("/").text for _ in range(2)] == ["", ""]
        own = client.get("/", headers={"cookie": "ory_kratos_session=mine"})
        assert own.text == "ory_kratos_session=mine"
