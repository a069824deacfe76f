"""What clients of Kratos do to log in and to give a second factor: native, SPA and forms."""

import base64
import hashlib
import hmac
import re
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import psycopg
from bs4 import BeautifulSoup

from integration.db import member_sessions, sessions
from integration.db.sessions import make_engine, make_session_factory

JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}
WHOAMI = "/sessions/whoami"


class Native:
    """An app: no cookies, a session token."""

    def __init__(self, stack: Any, person: Any, user_agent: str = "an-app/1.0") -> None:
        headers = {**JSON, "user-agent": user_agent}
        self.http = httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30)
        self.person = person
        self.session: dict[str, Any] = {}
        self.token = ""

    def close(self) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"X-Session-Token": self.token} if self.token else {}
        answer = self.http.request(method, path, headers=headers, **more)
        self.http.cookies.clear()
        return answer

    def start(self, kind: str, **query: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/self-service/{kind}/api", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, flow: dict[str, Any], **body: Any) -> httpx.Response:
        path = urlsplit(flow["ui"]["action"])
        return self.ask("POST", f"{path.path}?{path.query}", json=body)

    def log_in(self, **query: str) -> httpx.Response:
        flow = self.start("login", **query)
        answer = self.submit(
            flow, method="password", identifier=self.person.email, password=self.person.password
        )
        if answer.status_code == 200:
            self.token = answer.json()["session_token"]
            self.session = answer.json()["session"]
        return answer

    def whoami(self) -> int:
        return self.ask("GET", WHOAMI).status_code


def csrf_token(flow: dict[str, Any]) -> str:
    return next(
        node["attributes"]["value"]
        for node in flow["ui"]["nodes"]
        if node["attributes"].get("name") == "csrf_token"
    )


class Spa:
    """A single-page application: cookies and JSON."""

    def __init__(
        self, stack: Any, person: Any, user_agent: str = "Mozilla/5.0 Firefox/140"
    ) -> None:
        headers = {**JSON, "user-agent": user_agent}
        self.http = httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30)
        self.person = person
        self.session: dict[str, Any] = {}

    def close(self) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, path, **more)

    def start(self, kind: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(f"/self-service/{kind}/browser", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, flow: dict[str, Any], **body: Any) -> httpx.Response:
        return self.http.post(flow["ui"]["action"], json={"csrf_token": csrf_token(flow), **body})

    def log_in(self, **query: str) -> httpx.Response:
        answer = self.submit(
            self.start("login", **query),
            method="password",
            identifier=self.person.email,
            password=self.person.password,
        )
        if answer.status_code == 200:
            self.session = answer.json()["session"]
        return answer

    def whoami(self) -> int:
        return self.http.get(WHOAMI).status_code


class Form(Spa):
    """A browser without scripts: pages, forms, redirects that it follows by itself."""

    def page(self, address: str) -> tuple[str, BeautifulSoup]:
        answer = self.http.get(address, headers=HTML, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return str(answer.url), BeautifulSoup(answer.text, "html.parser")

    def press(self, page: BeautifulSoup, **typed: str) -> tuple[str, BeautifulSoup]:
        """Send the form that has the fields which are typed into, by its first button."""
        form = next(
            each
            for each in page.find_all("form")
            if all(each.find(attrs={"name": name}) for name in typed)
        )
        fields = {
            each["name"]: each.get("value", "")
            for each in form.find_all("input")
            if each.get("name") and each.get("type") not in ("submit", "button")
        }
        button = form.find("button", attrs={"name": True})
        if button is not None and button["name"] not in typed:
            fields[button["name"]] = button.get("value", "")
        answer = self.http.post(
            form["action"], data={**fields, **typed}, headers=HTML, follow_redirects=True
        )
        return str(answer.url), BeautifulSoup(answer.text, "html.parser")


def names_in(flow: dict[str, Any]) -> set[str]:
    return {node["attributes"].get("name") for node in flow["ui"]["nodes"]}


def groups_in(flow: dict[str, Any]) -> set[str]:
    return {node["group"] for node in flow["ui"]["nodes"]}


def totp(secret: str, at: float | None = None) -> str:
    """Return the code of an authenticator app. Source: RFC 6238."""
    counter = int((time.time() if at is None else at) // 30)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", counter), hashlib.sha1)
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def enroll_totp(client: Native | Spa) -> str:
    """Enrol an authenticator app in the settings and return its secret."""
    flow = client.start("settings")
    secret = next(
        node["attributes"]["text"]["text"]
        for node in flow["ui"]["nodes"]
        if node["attributes"].get("id") == "totp_secret_key"
    )
    answer = client.submit(flow, method="totp", totp_code=totp(secret))
    assert answer.status_code == 200, answer.text
    return secret


def enroll_lookup_codes(client: Native | Spa) -> list[str]:
    """Have look-up codes made in the settings, confirm them and return them."""
    flow = client.start("settings")
    made = client.submit(flow, method="lookup_secret", lookup_secret_regenerate=True)
    assert made.status_code == 200, made.text
    codes = next(
        node["attributes"]["text"]["text"]
        for node in made.json()["ui"]["nodes"]
        if node["attributes"].get("id") == "lookup_secret_codes"
    )
    confirmed = client.submit(flow, method="lookup_secret", lookup_secret_confirm=True)
    assert confirmed.status_code == 200, confirmed.text
    return codes.split(", ")


def login_code(person: Any, eventually: Any, *, nth: int = 1) -> str:
    """Return the code of the nth mail with a code to log in."""

    def codes() -> list[str]:
        texts = [mail["text"] for mail in person.mails() if "log in" in mail["subject"]]
        return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]

    return eventually(lambda: codes()[nth - 1 : nth])[0]


def rows(stack: Any, person: Any) -> list[dict[str, Any]]:
    """Return the rows of a person's sessions, the oldest first."""
    with psycopg.connect(stack.database_url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(
            "select * from member_sessions where identity_id = %s order by started_at",
            (person.identity_id,),
        ).fetchall()


def hold(stack: Any, session_id: Any, reason: str = "risk") -> None:
    """Hold a session, as a part of the service would."""
    engine = make_engine(stack.database_url, timeout=timedelta(seconds=5))
    with sessions.transaction(make_session_factory(engine)) as session:
        assert member_sessions.hold(session, UUID(str(session_id)), reason, datetime.now(UTC))
    engine.dispose()


def flow_in(address: str) -> str:
    return parse_qs(urlsplit(address).query)["flow"][0]
