"""Second factors that come and go: recorded, and told by mail."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.system.two_ways import totp


@pytest.fixture
def client(stack: Any, member: Any) -> Iterator[httpx.Client]:
    headers = {"X-Session-Token": member.log_in()}
    with httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30) as made:
        yield made


def settings(client: httpx.Client, **body: Any) -> dict[str, Any]:
    """Submit a fresh settings flow, if anything is given, and return it."""
    flow = client.get("/self-service/settings/api").json()
    if not body:
        return flow
    answer = client.post(flow["ui"]["action"], json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def texts(flow: dict[str, Any]) -> dict[str, Any]:
    nodes = [node["attributes"] for node in flow["ui"]["nodes"]]
    return {node["id"]: node["text"] for node in nodes if "text" in node}


def turn_on_totp(client: httpx.Client) -> str:
    flow = settings(client)
    secret = texts(flow)["totp_secret_key"]["text"]
    body = {"method": "totp", "totp_code": totp(secret)}
    answer = client.post(flow["ui"]["action"], json=body)
    assert answer.status_code == 200, answer.text
    return secret


def events(client: httpx.Client) -> list[tuple[str, str]]:
    items = client.get("/api/me/security-events").json()["items"]
    return [(item["kind"], item["facts"]["method"]) for item in items]


def test_an_authenticator_app_that_comes_and_goes_is_recorded_and_told(client, member, eventually):
    turn_on_totp(client)
    assert events(client) == [("second_factor_added", "totp")]
    settings(client, method="totp", totp_unlink=True)
    assert events(client) == [("second_factor_removed", "totp"), ("second_factor_added", "totp")]
    subjects = eventually(
        lambda: [m["subject"] for m in member.mails() if "second step" in m["subject"]][1:]
    )
    assert subjects == ["A second step was removed from your account"]


def test_backup_codes_that_come_and_go_are_recorded_and_told(client, member, eventually):
    flow = settings(client, method="lookup_secret", lookup_secret_regenerate=True)
    assert events(client) == []
    answer = client.post(
        flow["ui"]["action"], json={"method": "lookup_secret", "lookup_secret_confirm": True}
    )
    assert answer.status_code == 200, answer.text
    assert events(client) == [("second_factor_added", "lookup_secret")]
    settings(client, method="lookup_secret", lookup_secret_disable=True)
    assert [kind for kind, _ in events(client)] == ["second_factor_removed", "second_factor_added"]
    mails = eventually(lambda: [m for m in member.mails() if "removed" in m["subject"]])
    assert "backup codes" in mails[0]["text"]


def test_security_events_are_paged_and_only_ones_own(client, member, another_person):
    turn_on_totp(client)
    settings(client, method="totp", totp_unlink=True)
    turn_on_totp(client)

    first = client.get("/api/me/security-events", params={"limit": 2})
    assert [item["kind"] for item in first.json()["items"]] == [
        "second_factor_added",
        "second_factor_removed",
    ]
    second = client.get(first.links["next"]["url"])
    assert [item["kind"] for item in second.json()["items"]] == ["second_factor_added"]
    assert second.json()["next_cursor"] is None
    assert "next" not in second.links

    another_person.register()
    another_person.verify()
    headers = {"X-Session-Token": another_person.log_in()}
    assert client.get("/api/me/security-events", headers=headers).json()["items"] == []
    for cursor in ("x", "AAAA", "MjAyNg==", "é" * 5):
        answer = client.get("/api/me/security-events", params={"cursor": cursor})
        assert answer.status_code == 422
    assert client.get("/api/me/security-events", params={"limit": 0}).status_code == 422
