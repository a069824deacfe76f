"""Another e-mail address: asked for with an unmodified SDK, proven, done, taken back."""

import re
from typing import Any

import httpx
import pytest
from ory_client import (
    UpdateSettingsFlowBody,
    UpdateSettingsFlowWithProfileMethod,
)
from ory_client.exceptions import BadRequestException

JSON = {"accept": "application/json"}


def ask(person: Any, token: str, **traits: str) -> Any:
    """Submit the profile form of an unmodified SDK and return the flow."""
    flow = person.ory.create_native_settings_flow(x_session_token=token)
    method = UpdateSettingsFlowWithProfileMethod(
        method="profile",
        traits={"email": person.email, "username": person.username, **traits},
    )
    body = UpdateSettingsFlowBody(method)
    return person.ory.update_settings_flow(str(flow.id), body, x_session_token=token)


def identity_of(admin: httpx.Client, person: Any) -> dict[str, Any]:
    return admin.get(f"/admin/identities/{person.identity_id}").json()


def addresses_of(identity: dict[str, Any]) -> dict[str, bool]:
    return {each["value"]: each["verified"] for each in identity["verifiable_addresses"]}


def mails_to(stack: Any, address: str) -> list[dict[str, str]]:
    answer = httpx.get(stack.facts["mailbox_url"], params={"to": address}, headers=JSON)
    return answer.json()["items"]


def code_to(stack: Any, address: str, eventually: Any) -> str:
    def codes() -> list[str]:
        texts = [mail["text"] for mail in mails_to(stack, address)]
        return [found[0] for text in texts if (found := re.search(r"^\d{6}$", text, re.M))]

    return eventually(codes)[-1]


def ticket_to(stack: Any, address: str, subject: str, eventually: Any) -> str:
    """Return the ticket of the mail that an old address got."""
    mail = eventually(lambda: [m for m in mails_to(stack, address) if subject in m["subject"]])[-1]
    return re.search(r"ticket=([\w%-]+)", mail["text"])[1].replace("%3D", "=")


def verification_flow(flow: Any) -> str:
    [step] = flow.continue_with
    assert step.actual_instance.action == "show_verification_ui"
    return str(step.actual_instance.flow.id)


@pytest.fixture
def member(person: Any) -> Any:
    person.register()
    person.verify()
    return person


@pytest.fixture
def token(member: Any) -> str:
    return member.log_in()


def test_a_new_address_waits_and_the_old_one_stays_until_it_is_proven(
    stack, member, token, admin, eventually
):
    new = f"new-{member.email}"
    flow = ask(member, token, email=new)

    assert flow.state == "success"
    assert flow.identity.traits["email"] == member.email
    assert flow.identity.traits["pending_email"] == new
    assert addresses_of(identity_of(admin, member)) == {member.email: True, new: False}
    assert member.me(token).json()["email"] == member.email
    shown = [node.attributes.actual_instance for node in flow.ui.nodes]
    [node] = [each for each in shown if getattr(each, "name", "") == "traits.pending_email"]
    assert node.value == new

    member.verify(code_to(stack, new, eventually), flow_id=verification_flow(flow))

    eventually(lambda: member.me(token).json()["email"] == new)
    identity = identity_of(admin, member)
    assert identity["traits"] == {"email": new, "username": member.username}
    assert addresses_of(identity) == {new: True}
    assert [each["value"] for each in identity["recovery_addresses"]] == [new]
    assert member.log_in(new)
    with pytest.raises(BadRequestException):
        member.log_in(member.email)
