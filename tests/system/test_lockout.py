"""Guessing passwords, and being kept out by somebody else's guesses: the whole stack."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import httpx
import psycopg
import pytest

from tests.private_stack import KLEIS, PATIENCE, free_ports

JSON = {"accept": "application/json"}
WRONG = 4000006


class Client:
    """Somebody at an edge, from whatever address a trusted proxy says."""

    opened: ClassVar[list[httpx.Client]] = []

    def __init__(self, url: str, address: str | None = None, **headers: str) -> None:
        claimed = {} if address is None else {"x-forwarded-for": address}
        self.http = httpx.Client(base_url=url, timeout=60, headers={**JSON, **claimed, **headers})
        self.opened.append(self.http)

    def attempt(self, identifier: Any, password: str, flow: str | None = None) -> httpx.Response:
        """Try a password by the native flow."""
        flow = flow or self.flow()
        body = {"method": "password", "identifier": identifier, "password": password}
        return self.http.post("/self-service/login", params={"flow": flow}, json=body)

    def flow(self) -> str:
        return self.http.get("/self-service/login/api").json()["id"]

    def fail(self, identifier: str, times: int) -> list[int]:
        guesses = (f"Wrong-{secrets.token_hex(8)}" for _ in range(times))
        return [self.attempt(identifier, guess).status_code for guess in guesses]


class Browser(Client):
    """A cookie jar, as a single-page application has one."""

    def attempt(self, identifier: Any, password: str, flow: str | None = None) -> httpx.Response:
        shown = self.http.get("/self-service/login/browser").json()
        nodes = [node["attributes"] for node in shown["ui"]["nodes"]]
        token = next(node["value"] for node in nodes if node["name"] == "csrf_token")
        body = {"method": "password", "identifier": identifier, "password": password}
        return self.http.post(
            "/self-service/login", params={"flow": shown["id"]}, json=body | {"csrf_token": token}
        )

    def log_out(self) -> None:
        token = self.http.get("/self-service/logout/browser").json()["logout_token"]
        self.http.get("/self-service/logout", params={"token": token})


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while Client.opened:
        Client.opened.pop().close()


@pytest.fixture(scope="module")
def second_edge(stack) -> Iterator[str]:
    """Another edge process of the same stack, behind a proxy that it trusts."""
    [port] = free_ports(1)
    settings = json.loads((stack.home / "settings.json").read_text())
    environ = {name: v for name, v in os.environ.items() if not name.startswith("KLEIS_")}
    environ |= settings | {
        "KLEIS_PORT_EDGE": str(port),
        "KLEIS_TRUSTED_PROXIES": "127.0.0.0/8",
    }
    process = subprocess.Popen(
        [KLEIS, "serve", "edge"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/alive", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def an_address() -> str:
    return f"203.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}"


def test_the_sixth_attempt_is_refused_also_with_the_right_password(stack, member):
    client = Client(stack.edge_url)

    assert client.fail(member.email, 5) == [400] * 5
    answer = client.attempt(member.email, member.password)

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "urn:kleis:problem:too_many_attempts"
    assert body["error"]["code"] == 429
    assert 1700 <= int(answer.headers["retry-after"]) <= 1800
    assert answer.headers["ratelimit-policy"] == '"address";q=5;w=900'
    assert answer.headers["ratelimit"].startswith('"address";r=0;t=1')


def test_a_form_gets_a_page(stack, member):
    client = Client(stack.edge_url)
    client.fail(member.email, 5)

    answer = client.http.post(
        "/self-service/login",
        params={"flow": client.flow()},
        data={"method": "password", "identifier": member.email, "password": "x"},
        headers={"accept": "text/html,application/xhtml+xml"},
    )

    assert answer.status_code == 429
    assert answer.headers["content-type"].startswith("text/html")
    assert "Try again in 30 minutes" in answer.text


def test_claimed_addresses_do_not_help_where_no_proxy_is_trusted(stack, member):
    for number in range(5):
        Client(stack.edge_url, f"198.51.100.{number}").fail(member.email, 1)

    assert Client(stack.edge_url, an_address()).fail(member.email, 1) == [429]


def test_two_hundred_guesses_at_once_on_two_edges_let_five_through(
    stack, second_edge, member, eventually
):
    urls = (stack.edge_url, second_edge)
    flows = [Client(url).flow() for url in urls]

    def guess(number: int) -> tuple[int, str]:
        with httpx.Client(timeout=60, headers=JSON) as http:
            at = number % 2
            body = {
                "method": "password",
                "identifier": member.email,
                "password": f"Wrong-guess-{number}",
            }
            answer = http.post(
                f"{urls[at]}/self-service/login", params={"flow": flows[at]}, json=body
            )
            return answer.status_code, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(guess, range(200)))

    statuses = Counter(status for status, _ in answers)
    assert statuses == {400: 5, 429: 195}
    waits = {int(wait) for status, wait in answers if status == 429}
    assert all(wait == 1 or 1700 < wait <= 1800 for wait in waits)
    eventually(lambda: _tried(stack, member) >= 5)
    assert _tried(stack, member) == 5


def _tried(stack, member) -> int:
    """Return how many wrong passwords for a member Kratos looked at, by the record of attempts."""
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM login_attempts"
            " WHERE outcome = 'wrong_credentials' AND identity_id = %s",
            (member.identity_id,),
        ).fetchone()
    return row[0]


def test_the_same_wrong_password_counts_once(stack, member):
    client = Client(stack.edge_url)

    statuses = [client.attempt(member.email, "Typed-Wrong-1!").status_code for _ in range(8)]
    assert statuses == [400] * 8
    # On another account it is another guess.
    others = [f"nobody-{secrets.token_hex(4)}@example.test" for _ in range(5)]
    statuses = [client.attempt(name, "Typed-Wrong-1!").status_code for name in others]
    assert statuses == [400] * 4 + [429]


def test_what_is_no_wrong_password_does_not_count(stack, member, people):
    unverified = people()
    unverified.register()
    client = Client(stack.edge_url)

    for _ in range(6):
        assert client.attempt(unverified.email, unverified.password).status_code == 400
        assert client.attempt("", "").status_code == 400
        gone = client.attempt(member.email, "Wrong-1", "3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11")
        assert gone.status_code in (404, 410)
    assert client.attempt(member.email, member.password).status_code == 200


def test_all_spellings_of_an_account_share_its_limit(second_edge, member):
    name = member.username
    spellings = [
        name,
        name.upper(),
        f"  {name}\t",
        f"{name}\u200b",
        member.email,
        member.email.upper(),
        "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in name),
    ]
    networks = iter(range(256))
    statuses = []
    for turn in range(24):
        address = f"198.18.{next(networks)}.7"
        statuses += Client(second_edge, address).fail(spellings[turn % len(spellings)], 1)

    assert statuses[:20] == [400] * 20
    assert 429 in statuses[20:]


def test_a_known_browser_gets_in_while_others_guess(second_edge, member):
    own = Browser(second_edge, an_address())
    assert own.attempt(member.email, member.password).status_code == 200
    own.log_out()
    _block(second_edge, member)

    stranger = Browser(second_edge, an_address())
    refused = stranger.attempt(member.email, member.password)
    assert refused.status_code == 429
    assert refused.headers["ratelimit"].startswith('"account"')
    assert own.attempt(member.email, member.password).status_code == 200
    own.log_out()
    # It has its own five, and no more.
    assert own.fail(member.email, 6) == [400] * 5 + [429]
    assert own.attempt(member.email, member.password).headers["ratelimit"].startswith('"device"')


def _block(url: str, member: Any) -> None:
    """Guess from many networks until the account is blocked."""
    for number in range(20):
        assert Client(url, f"198.19.{number}.9").fail(member.email, 1) == [400]


def test_the_cookie_of_one_account_opens_no_other_and_none_can_be_made(second_edge, people):
    ada, eve = people(), people()
    for somebody in (ada, eve):
        somebody.register()
        somebody.verify()
    browser = Browser(second_edge, an_address())
    assert browser.attempt(eve.email, eve.password).status_code == 200
    browser.log_out()
    own = browser.http.cookies["kleis_device"]
    _block(second_edge, ada)

    forged = own[:-2] + ("AA" if own[-2:] != "AA" else "BB")
    for cookie in (own, forged, "x" * 300):
        thief = Browser(second_edge, an_address())
        thief.http.cookies.set("kleis_device", cookie, domain="127.0.0.1")
        assert thief.attempt(ada.email, ada.password).status_code == 429, cookie


def test_a_native_client_is_never_a_known_device(second_edge, member):
    own = Browser(second_edge, an_address())
    assert own.attempt(member.email, member.password).status_code == 200
    cookie = own.http.cookies["kleis_device"]
    _block(second_edge, member)

    native = Client(second_edge, an_address(), cookie=f"kleis_device={cookie}")
    assert native.attempt(member.email, member.password).status_code == 429
    assert (
        "set-cookie"
        not in Client(second_edge, an_address()).http.get("/self-service/login/api").headers
    )


def test_the_link_in_the_mail_unlocks(second_edge, member, eventually):
    _block(second_edge, member)
    address = an_address()
    browser = Browser(second_edge, address)
    assert browser.attempt(member.email, member.password).status_code == 429

    def link() -> str | None:
        texts = [mail["text"] for mail in member.mails() if "guessing" in mail["subject"]]
        assert len(texts) <= 1
        return (
            next((word for word in texts[0].split() if "/unlock?" in word), None) if texts else None
        )

    path = "/unlock?" + eventually(link).partition("/unlock?")[2]
    page = browser.http.get(path, headers={"accept": "text/html"})
    assert page.status_code == 200
    # A scanner that opened it changed nothing.
    assert browser.attempt(member.email, member.password).status_code == 429

    ticket = httpx.URL(path).params["ticket"]
    assert browser.http.post("/unlock", data={"ticket": ticket}).status_code == 200
    assert browser.attempt(member.email, member.password).status_code == 200
    for bad in ("", "x", ticket[:-4] + "AAAA"):
        assert browser.http.post("/unlock", data={"ticket": bad}).status_code == 410


def test_a_completed_recovery_unlocks(second_edge, member):
    address = an_address()
    client = Client(second_edge, address)
    client.fail(member.email, 5)
    assert client.attempt(member.email, member.password).status_code == 429

    flow = client.http.get("/self-service/recovery/api").json()["id"]
    sent = client.http.post(
        "/self-service/recovery",
        params={"flow": flow},
        json={"method": "code", "email": member.email},
    )
    assert sent.status_code == 200
    done = client.http.post(
        "/self-service/recovery",
        params={"flow": flow},
        json={"method": "code", "code": member.code(nth=2)},
    )
    # A blocked address may still enter the code it was sent.
    assert done.status_code == 200, done.text
    assert client.attempt(member.email, member.password).status_code == 200


def test_codes_are_not_sent_more_often_than_once_a_minute(second_edge, member):
    client = Client(second_edge, an_address())

    def ask(email: str, client: Client = client) -> httpx.Response:
        flow = client.http.get("/self-service/recovery/api").json()["id"]
        body = {"method": "code", "email": email}
        return client.http.post("/self-service/recovery", params={"flow": flow}, json=body)

    assert ask(member.email).status_code == 200
    refused = ask("somebody-else@example.test")
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:kleis:problem:too_many_requests"
    assert 30 <= int(refused.headers["retry-after"]) <= 60
    elsewhere = Client(second_edge, an_address())
    assert ask(member.email.upper(), elsewhere).status_code == 429


def test_an_operator_sees_and_lifts_blocks(stack, member):
    client = Client(stack.edge_url)
    client.fail(member.email, 5)
    shown = json.loads(stack.run("limits", "show", "--blocked", "--json").stdout)
    assert ("address", "127.0.0.1") in {(row["rule"], row["about"]) for row in shown}

    assert stack.run("limits", "reset", "--address", "::ffff:127.0.0.1").returncode == 0
    assert client.attempt(member.email, member.password).status_code == 200
    assert stack.run("limits", "reset", "--account", member.identity_id).returncode == 0
    assert stack.run("limits", "reset", "--all", "--json").returncode == 0
    assert json.loads(stack.run("limits", "show", "--json").stdout) == []
    assert stack.run("limits", "reset").returncode != 0
    assert stack.run("limits", "reset", "--address", "nowhere").returncode != 0


def test_without_valkey_the_same_rule_holds_and_readiness_says_so(stack, member, eventually):
    client = Client(stack.edge_url)
    assert client.attempt(member.email, member.password).status_code == 200
    pid = stack.pids()["valkey"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert client.fail(member.email, 5) == [400] * 5
        refused = client.attempt(member.email, member.password)
        ready = httpx.get(f"{stack.edge_url}/health/ready", timeout=20)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert refused.status_code == 429
    assert ready.status_code == 200
    assert "limits" in ready.json()["degraded"]

    def is_ready() -> bool:
        return httpx.get(f"{stack.edge_url}/health/ready", timeout=30).json().get("degraded") == []

    eventually(is_ready)
    assert "limits_degraded" in stack.log("edge")
    assert "limits_restored" in stack.log("edge")
