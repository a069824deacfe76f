"""A stand-in for Kratos' public port: answers recorded of the real one, over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

RECORDINGS = Path(__file__).parent / "recordings"
PUBLIC = "http://127.0.0.1:4455"
_POLL_SECONDS = 0.01


class KratosDouble:
    """Plays Kratos' public port: one answer a path, and a note of what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []

    def recorded(self, kind: str, name: str, **changes: object) -> None:
        flow = json.loads((RECORDINGS / f"{name}.json").read_text())
        self.answers[f"/self-service/{kind}/flows"] = (200, flow | changes)

    def refuses(self, kind: str, status: int, body: object) -> None:
        self.answers[f"/self-service/{kind}/flows"] = (status, body)


@contextmanager
def serving(double: KratosDouble) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            double.asked.append((parts.path, parse_qs(parts.query), self.headers["cookie"] or ""))
            status, body = double.answers.get(parts.path, (404, {"error": {"code": 404}}))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{PUBLIC}/login")
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Keep test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
