"""A member's first life, through the unmodified Ory SDK, against a running `make up`.

    .venv/bin/python examples/first_life.py

Registers, reads the code in the mailbox, verifies, logs in, and asks who it is. Nothing here
knows Kleis but for the mailbox, `GET /api/me` and the address of the edge.
"""

import argparse
import json
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from urllib.request import Request, urlopen

import ory_client
from ory_client.models.update_login_flow_body import UpdateLoginFlowBody
from ory_client.models.update_login_flow_with_password_method import (
    UpdateLoginFlowWithPasswordMethod,
)
from ory_client.models.update_registration_flow_body import UpdateRegistrationFlowBody
from ory_client.models.update_registration_flow_with_password_method import (
    UpdateRegistrationFlowWithPasswordMethod,
)
from ory_client.models.update_verification_flow_body import UpdateVerificationFlowBody
from ory_client.models.update_verification_flow_with_code_method import (
    UpdateVerificationFlowWithCodeMethod,
)

STACK = Path(__file__).parents[1] / ".kleis" / "stack.json"
PATIENCE = 15.0
"""Seconds to wait for a mail, or for Keto to be told."""
TIMEOUT = 10.0

Found = TypeVar("Found")


def register(frontend: ory_client.FrontendApi, person: dict[str, str], password: str) -> str:
    """Register and return the id of the verification flow that Kratos started."""
    flow = frontend.create_native_registration_flow()
    answer = frontend.update_registration_flow(
        flow=str(flow.id),
        update_registration_flow_body=UpdateRegistrationFlowBody(
            UpdateRegistrationFlowWithPasswordMethod(
                method="password", password=password, traits=person
            )
        ),
    )
    for step in answer.continue_with or []:
        if isinstance(step.actual_instance, ory_client.ContinueWithVerificationUi):
            return str(step.actual_instance.flow.id)
    raise RuntimeError("Kratos started no verification flow")


def read_code(mailbox_url: str, email: str) -> str:
    """Return the code of the newest mail to `email`."""

    def newest() -> str | None:
        answer = _get_json(f"{mailbox_url}?to={quote(email)}", {"Accept": "application/json"})
        codes = (re.search(r"\b\d{6}\b", mail["text"]) for mail in reversed(answer["items"]))
        return next((code[0] for code in codes if code), None)

    return _wait_for("a mail with a code", newest)


def verify(frontend: ory_client.FrontendApi, flow_id: str, code: str) -> str:
    """Prove the address and return the flow's new state: `passed_challenge` when it worked."""
    flow = frontend.update_verification_flow(
        flow=flow_id,
        update_verification_flow_body=UpdateVerificationFlowBody(
            UpdateVerificationFlowWithCodeMethod(method="code", code=code)
        ),
    )
    return str(flow.state.value)


def log_in(frontend: ory_client.FrontendApi, identifier: str, password: str) -> str:
    """Log in as a native client does and return the session token."""
    flow = frontend.create_native_login_flow()
    answer = frontend.update_login_flow(
        flow=str(flow.id),
        update_login_flow_body=UpdateLoginFlowBody(
            UpdateLoginFlowWithPasswordMethod(
                method="password", identifier=identifier, password=password
            )
        ),
    )
    return str(answer.session_token)


def who_am_i(edge_url: str, token: str) -> dict[str, Any]:
    """Ask Kleis for the member behind a session."""
    return _get_json(f"{edge_url}/api/me", {"X-Session-Token": token})


def wait_until_inside(edge_url: str, api_key: str, identity_id: str) -> None:
    """Wait until Keto lets the member through the gate: the worker tells it after the fact."""
    with _client(edge_url, "Authorization", f"Bearer {api_key}") as client:
        permissions = ory_client.PermissionApi(client)

        def allowed() -> bool | None:
            answer = permissions.check_permission(
                namespace="Platform",
                object="main",
                relation="enter",
                subject_id=identity_id,
                _request_timeout=TIMEOUT,
            )
            return answer.allowed or None

        _wait_for("Keto to know the member", allowed)


def live(stack: dict[str, Any], say: Callable[[str], None] = print) -> dict[str, Any]:
    """Walk through a first life and return what `/api/me` says at its end."""
    edge_url = stack["edge_url"]
    name = f"guest-{secrets.token_hex(4)}"
    person = {"email": f"{name}@kleis.example", "username": name}
    password = f"Correct-Horse-{secrets.token_hex(8)}"
    with _client(edge_url) as client:
        frontend = ory_client.FrontendApi(client)
        verification = register(frontend, person, password)
        say(f"registered   {person['email']}")
        code = read_code(stack["mailbox_url"], person["email"])
        say(f"mail came    with the code {code}")
        say(f"verified     {verify(frontend, verification, code)}")
        token = log_in(frontend, person["email"], password)
        session = frontend.to_session(x_session_token=token)
        say(f"logged in    until {session.expires_at:%Y-%m-%d %H:%M} UTC")
    me = who_am_i(edge_url, token)
    say(f"I am         {me['username']}, {me['role']}, {me['status']}")
    wait_until_inside(edge_url, stack["admin_api_key"], me["id"])
    say("Keto says    may enter the platform")
    return me


def main() -> None:
    """Read where the stack is, and live."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stack", type=Path, default=STACK, help="stack.json of a running stack")
    path = parser.parse_args().stack
    if not path.exists():
        sys.exit(f"{path} is not there: start the stack with `make up`")
    live(json.loads(path.read_text()))


def _client(
    edge_url: str, header: str | None = None, value: str | None = None
) -> ory_client.ApiClient:
    return ory_client.ApiClient(ory_client.Configuration(host=edge_url), header, value)


def _get_json(url: str, headers: dict[str, str]) -> dict[str, Any]:
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


def _wait_for(what: str, look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.2)
    return found


if __name__ == "__main__":
    main()
