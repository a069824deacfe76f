"""The examples of `examples/` in front of an application, with real proxies and a real stack.

Run by `make examples`, with each proxy that is installed here.
"""

import http.client
import http.server
import json
import posixpath
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from tests.private_stack import PrivateStack, free_ports
from tests.system.conftest import Person, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"
INSTALLED = [name for name in ("nginx", "traefik", "caddy") if shutil.which(name)]


class Application(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked, as it came."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, "headers": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@dataclass
class Front:
    """A proxy before the application."""

    name: str
    port: int
    stack: PrivateStack

    def get(
        self,
        path: str,
        *,
        host: str = "app.example.test",
        raw: tuple[str, ...] = (),
        **headers: str,
    ):
        """Ask with the path exactly as given; return status, and the body where it is JSON.

        Args:
            raw: Names of headers as they are, all with the value `eve`.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.putrequest("GET", path, skip_host=True)
            for name, value in {"Host": host, **headers}.items():
                connection.putheader(name.replace("_", "-"), value)
            for name in raw:
                connection.putheader(name, "eve")
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if answer.status == 200 else None
        finally:
            connection.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[PrivateStack]:
    rules = {"KLEIS_FORWARD_AUTH_RULES": str(EXAMPLES / "forward_auth_rules.yml")}
    private = PrivateStack(tmp_path_factory.mktemp("stack"), rules)
    try:
        private.start()
        yield private
    finally:
        private.close()


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module", params=INSTALLED)
def front(request, stack, application, tmp_path_factory) -> Iterator[Front]:
    (port,) = free_ports(1)
    edge = stack.edge_url.rpartition(":")[2].rstrip("/")
    ports = {"4455": edge, "9000": str(application), "8080": str(port)}
    folder = tmp_path_factory.mktemp(request.param)
    with running(request.param, folder, ports):
        wait_for(port)
        yield Front(request.param, port, stack)


@contextmanager
def running(name: str, folder: Path, ports: dict[str, str]) -> Iterator[None]:
    def copied(example: str) -> Path:
        text = (EXAMPLES / example).read_text()
        for old, new in ports.items():
            text = text.replace(f":{old}", f":{new}")
        path = folder / Path(example).name
        path.write_text(text.replace("examples/traefik/", f"{folder}/"))
        return path

    if name == "nginx":
        conf = folder / "nginx.conf"
        temporary = "".join(
            f" {kind}_temp_path {folder};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf.write_text(
            f"daemon off; pid {folder}/pid; error_log stderr; events {{ }}\n"
            f"http {{ access_log off;{temporary} include {copied('nginx/kleis.conf')}; }}\n"
        )
        command = ["nginx", "-c", str(conf), "-p", str(folder)]
    elif name == "traefik":
        copied("traefik/kleis.yml")
        command = ["traefik", f"--configFile={copied('traefik/traefik.yml')}"]
    else:
        command = ["caddy", "run", "--config", str(copied("caddy/Caddyfile"))]
    with ExitStack() as ending, (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        ending.callback(process.wait, 15)
        ending.callback(process.terminate)
        yield


def wait_for(port: int) -> None:
    """Return when a proxy answers by its configuration; Traefik says 404 until it has read it."""
    deadline = time.monotonic() + 20
    while not answers(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/assets/x", timeout=2).status_code != 404
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def member(stack) -> Iterator[tuple[Person, str]]:
    """A member with a session, who owns the content `mine`."""
    person = Person(stack)
    person.register()
    person.verify()
    key = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}
    facts = [
        {"relation": "owners", "subject_id": person.identity_id},
        {
            "relation": "platform",
            "subject_set": {"namespace": "Platform", "object": "main", "relation": ""},
        },
    ]
    for fact in facts:
        body = {"namespace": "Content", "object": "mine", **fact}
        url = f"{stack.edge_url}/admin/relation-tuples"
        assert httpx.put(url, json=body, headers=key).status_code == 201
    yield person, eventually(person.log_in)
    person.close()


def test_whoever_may_is_let_through_by_name(front, member):
    person, token = member

    status, seen = front.get("/media/mine?size=2", X_Session_Token=token, X_Kleis_Subject="eve")

    assert status == 200
    assert seen["path"] == "/media/mine?size=2"
    named = {name.lower(): value for name, value in seen["headers"]}
    assert named["x-kleis-subject"] == person.identity_id
    assert named["x-kleis-roles"] == "user"
    assert named["x-kleis-status"] == "active"


SPELLINGS = (
    "X-Kleis-Subject",
    "x-kleis-roles",
    "X_Kleis_Subject",
    "x_kleis_subject",
    "X-Kleis_Subject",
    "X_Kleis-Roles",
    "X_KLEIS_STATUS",
    "X_Kleis_Context",
)


@pytest.mark.parametrize("path", ["/media/mine", "/assets/a.css"])
def test_no_spelling_of_a_name_of_ours_comes_from_a_client(front, member, path):
    _, token = member

    status, seen = front.get(path, raw=SPELLINGS, X_Session_Token=token)

    assert status == 200
    as_read = [
        (name.lower().replace("_", "-"), value)
        for name, value in seen["headers"]
        if name.lower().replace("_", "-").startswith("x-kleis-")
    ]
    assert "eve" not in [value for _, value in as_read]
    names = [name for name, _ in as_read if name != "x-kleis-context"]
    assert sorted(names) == ["x-kleis-roles", "x-kleis-status", "x-kleis-subject"]


def test_whoever_may_not_is_refused_and_who_is_nobody_is_sent_to_log_in(front, member):
    _, token = member

    assert front.get("/media/theirs", X_Session_Token=token)[0] == 403
    assert front.get("/", host="office.example.test", X_Session_Token=token)[0] == 403
    assert front.get("/media/mine")[0] in (302, 401)
    assert front.get("/start")[0] in (302, 401)
    assert front.get("/start", X_Session_Token=token)[0] == 200


def test_what_is_public_needs_nobody(front):
    status, seen = front.get("/assets/a.css", X_Kleis_Subject="eve", X_Kleis_Roles="admin")

    assert status == 200
    named = {name.lower(): value for name, value in seen["headers"]}
    assert (named["x-kleis-subject"], named["x-kleis-roles"]) == ("guest", "guest")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../start",
        "/assets/%2e%2e/start",
        "/assets/..%2fstart",
        "/assets/%252e%252e/start",
        "/assets//x",
        "/MEDIA/mine",
        "/media/mine/",
        "/media/mine;x",
    ],
)
def test_no_spelling_gets_by(front, member, path):
    _, token = member

    for known in ({}, {"X_Session_Token": token}):
        status, seen = front.get(path, **known)
        if status < 300:
            # Traefik tidies an address before it asks about it, and passes on what it asked about.
            assert front.name == "traefik"
            assert seen["path"] == posixpath.normpath(unquote(path))
            assert front.get(seen["path"], **known)[0] == 200


def test_headers_of_another_proxy_change_nothing(front):
    spoofed = {
        "X_Original_URI": "/assets/x",
        "X_Original_Method": "GET",
        "X_Forwarded_Uri": "/assets/x",
        "X_Forwarded_Method": "GET",
    }

    assert front.get("/start", **spoofed)[0] >= 300
