"""A person with an unmodified Ory SDK, in front of a whole private stack."""

import contextlib
import json
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import ory_client
import pytest
import redis
from ory_client import (
    FrontendApi,
    PermissionApi,
    UpdateLoginFlowBody,
    UpdateLoginFlowWithPasswordMethod,
    UpdateRegistrationFlowBody,
    UpdateRegistrationFlowWithPasswordMethod,
    UpdateVerificationFlowBody,
    UpdateVerificationFlowWithCodeMethod,
)

from tests.system.freezing import stop_at_rest
from tests.system.openid import Account, Visitor
from tests.token_caller import Caller

JSON = {"accept": "application/json"}


def eventually(probe: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Return the first true answer of `probe`, or fail after `seconds`.

    It fails by what was asked after that time: a slow machine may answer late what it was asked
    in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.monotonic()
        answer = probe()
        if answer:
            return answer
        if asked_at > deadline:
            pytest.fail(f"did not come true within {seconds} s; last answer: {answer!r}")
        time.sleep(0.1)


class Person:
    """Somebody with a fresh name, a native client and a mailbox."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack
        name = secrets.token_hex(4)
        self.email = f"{name}@example.test"
        self.username = f"ada-{name}"
        self.password = f"Correct-Horse-7{secrets.token_hex(4)}"
        self.identity_id = ""
        self.registration_flow_id = ""
        self.verification_flow_id = ""
        self._client = ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url))
        self.ory = FrontendApi(self._client)

    def close(self) -> None:
        self._client.rest_client.pool_manager.clear()

    def register(self, **traits: str) -> Any:
        """Register by the native flow and return Kratos' answer."""
        flow = self.ory.create_native_registration_flow()
        self.registration_flow_id = str(flow.id)
        method = UpdateRegistrationFlowWithPasswordMethod(
            method="password",
            password=self.password,
            traits={"email": self.email, "username": self.username, **traits},
        )
        answer = self.ory.update_registration_flow(
            self.registration_flow_id, UpdateRegistrationFlowBody(method)
        )
        self.identity_id = str(answer.identity.id)
        for step in answer.continue_with or []:
            if step.actual_instance.action == "show_verification_ui":
                self.verification_flow_id = str(step.actual_instance.flow.id)
        return answer

    def mails(self) -> list[dict[str, str]]:
        """Return this person's mails, oldest first."""
        answer = httpx.get(
            self.stack.facts["mailbox_url"], params={"to": self.email}, headers=JSON, timeout=30
        )
        answer.raise_for_status()
        return answer.json()["items"]

    def code(self, *, nth: int = 1) -> str:
        """Return the code of the nth mail that has one, waiting for it."""

        def codes() -> list[str]:
            texts = (mail["text"] for mail in self.mails())
            return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]

        return eventually(lambda: codes()[nth - 1 : nth])[0]

    def verify(self, code: str | None = None, *, flow_id: str | None = None) -> Any:
        """Enter the code in the verification flow and return Kratos' answer."""
        method = UpdateVerificationFlowWithCodeMethod(method="code", code=code or self.code())
        return self.ory.update_verification_flow(
            flow_id or self.verification_flow_id, UpdateVerificationFlowBody(method)
        )

    def ask_for_another_code(self) -> None:
        """Start a verification flow of its own and have a code sent to the address."""
        flow = self.ory.create_native_verification_flow()
        self.verification_flow_id = str(flow.id)
        method = UpdateVerificationFlowWithCodeMethod(method="code", email=self.email)
        self.ory.update_verification_flow(
            self.verification_flow_id, UpdateVerificationFlowBody(method)
        )

    def log_in(self, identifier: str | None = None) -> str:
        """Log in with the password and return the session token."""
        flow = self.ory.create_native_login_flow()
        method = UpdateLoginFlowWithPasswordMethod(
            method="password", identifier=identifier or self.email, password=self.password
        )
        answer = self.ory.update_login_flow(str(flow.id), UpdateLoginFlowBody(method))
        return answer.session_token

    def me(self, token: str) -> httpx.Response:
        return httpx.get(
            f"{self.stack.edge_url}/api/me", headers={"X-Session-Token": token}, timeout=30
        )

    def flow(self) -> dict[str, Any]:
        """Return how far the registration got."""
        path = f"/api/flows/{self.registration_flow_id}"
        answer = httpx.get(self.stack.edge_url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(autouse=True)
def forget_failures(request: pytest.FixtureRequest) -> None:
    """Start each test without anybody's failed attempts: all tests share one address."""
    if "stack" in request.fixturenames:
        forget_limits(request.getfixturevalue("stack"))


def forget_limits(stack: Any) -> None:
    """Empty the counters of failed attempts, mails and registrations."""
    settings = json.loads((stack.home / "settings.json").read_text())
    with redis.Redis.from_url(settings["KLEIS_VALKEY_URL"]) as valkey:
        if names := list(valkey.scan_iter(b"kl:*", count=1000)):
            valkey.unlink(*names)


@pytest.fixture
def people(stack: Any) -> Iterator[Callable[[], Person]]:
    """Return a function that makes somebody new."""
    made: list[Person] = []

    def make() -> Person:
        made.append(Person(stack))
        return made[-1]

    yield make
    for somebody in made:
        somebody.close()


@pytest.fixture
def person(people: Callable[[], Person]) -> Person:
    return people()


@pytest.fixture
def another_person(people: Callable[[], Person]) -> Person:
    return people()


@pytest.fixture
def clients(stack: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a client of a kind (`tests/session_clients.py`) for a person."""
    made: list[Any] = []

    def make(kind: type, whose: Any, **more: Any) -> Any:
        made.append(kind(stack, whose, **more))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def member(person: Person) -> Person:
    """Somebody who registered and proved the address."""
    person.register()
    person.verify()
    return person


@pytest.fixture
def app(stack: Any) -> Iterator[Caller]:
    caller = Caller(stack.edge_url)
    yield caller
    caller.http.close()


@pytest.fixture
def logged_in(app: Caller, member: Person) -> dict[str, Any]:
    """What `POST /api/auth/login` answered."""
    answer = app.log_in(member.email, member.password)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def permissions(stack: Any) -> Iterator[PermissionApi]:
    """Keto's questions, asked by an unmodified SDK with the stack's key."""
    client = ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url))
    client.default_headers["Authorization"] = f"Bearer {stack.facts['admin_api_key']}"
    yield PermissionApi(client)
    client.rest_client.pool_manager.clear()


@pytest.fixture
def admin(stack: Any) -> Iterator[httpx.Client]:
    """The admin paths, with the stack's key."""
    headers = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}
    with httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def account(stack: Any) -> Account:
    """Somebody's account at the demo OpenID provider."""
    return Account(stack.facts["oidc_provider_url"])


@pytest.fixture
def browsers(stack: Any) -> Iterator[Callable[..., Visitor]]:
    """Return a function that opens another browser."""
    made: list[Visitor] = []

    def new(**options: str) -> Visitor:
        made.append(Visitor(stack, **options))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def stopped(stack: Any) -> Iterator[Callable[[str], int]]:
    """Return a function that stops one process until the test is over, or it died."""
    pids: list[int] = []

    def stop(name: str) -> int:
        pids.append(stack.pids()[name])
        stop_at_rest(pids[-1], stack.database_url)
        return pids[-1]

    yield stop
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually
