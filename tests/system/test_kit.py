"""The client kit before the whole stack: real tokens, real endings, real permissions."""

import asyncio
import threading

import httpx
import pytest

from kleis_client import PermissionClient, TokenAuth, TokenPair, TokenVerifier
from kleis_client.errors import TokenInvalidError, TokenRevokedError
from tests.kit.readme_example import running_example

AUDIENCE = "kleis"


@pytest.fixture
def member(person):
    """Somebody who is active."""
    person.register()
    person.verify()
    return person


@pytest.fixture
def verifier(stack):
    verifier = TokenVerifier(stack.edge_url, AUDIENCE)
    yield verifier
    verifier.close()


@pytest.fixture
def permissions(stack):
    client = PermissionClient(stack.edge_url, stack.facts["admin_api_key"], timeout=10)
    yield client
    client.close()


def log_in(stack, email, password):
    body = {"identifier": email, "password": password}
    answer = httpx.post(f"{stack.edge_url}/api/auth/login", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tokens_of(stack, member):
    return TokenPair.of(log_in(stack, member.email, member.password)["tokens"])


def is_revoked(verifier, token):
    try:
        verifier.verify(token)
    except TokenRevokedError:
        return True
    return False


def test_a_token_of_a_login_is_its_member(stack, member, verifier):
    answer = log_in(stack, member.email, member.password)
    found = verifier.verify(answer["tokens"]["access_token"])
    assert found.id == answer["user"]["id"] == member.identity_id
    assert found.session_id == answer["session"]["id"]
    assert found.roles == {"user"}
    assert found.status == "active"
    assert found.assurance == "aal1"
    assert asyncio.run(verifier.verify_async(answer["tokens"]["access_token"])) is found


def test_a_token_for_another_application_is_refused(stack, member, verifier):
    other = TokenVerifier(stack.edge_url, "another", check_revocations=False)
    with pytest.raises(TokenInvalidError, match="audience"):
        other.verify(tokens_of(stack, member).access_token)
    other.close()


def test_a_logout_is_heard_by_who_verifies_offline(stack, member, verifier, eventually):
    tokens = tokens_of(stack, member)
    verifier.verify(tokens.access_token)
    answer = httpx.post(
        f"{stack.edge_url}/api/tokens/revoke", json={"token": tokens.refresh_token}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    eventually(lambda: is_revoked(verifier, tokens.access_token))


def test_a_suspended_member_is_put_out_of_services_too(stack, member, verifier, admin, eventually):
    token = tokens_of(stack, member).access_token
    verifier.verify(token)
    change = [{"op": "replace", "path": "/state", "value": "inactive"}]
    answer = admin.patch(f"/admin/identities/{member.identity_id}", json=change)
    assert answer.status_code == 200, answer.text
    eventually(lambda: is_revoked(verifier, token))


def test_many_requests_renew_once_and_all_get_through(stack, member):
    stored = []
    tokens = tokens_of(stack, member)
    stale = TokenPair(
        access_token="stale",
        refresh_token=tokens.refresh_token,
        expires_at=tokens.expires_at,
        refresh_expires_at=tokens.refresh_expires_at,
    )
    auth = TokenAuth(stack.edge_url, stale, stored.append)
    statuses = []

    def ask():
        with httpx.Client(auth=auth, base_url=stack.edge_url, timeout=30) as client:
            statuses.append(client.get("/api/me").status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    auth.close()
    assert statuses == [200] * 8
    assert len(stored) == 1
    assert stored[0].refresh_token != tokens.refresh_token


def test_who_is_suspended_is_denied_although_the_allow_was_remembered(
    member, permissions, admin, eventually
):
    def allowed():
        return permissions.check(member.identity_id, "enter", on="Platform:main").allowed

    eventually(allowed)
    change = [{"op": "replace", "path": "/state", "value": "inactive"}]
    answer = admin.patch(f"/admin/identities/{member.identity_id}", json=change)
    assert answer.status_code == 200, answer.text
    eventually(lambda: not allowed())
    assert not allowed()


def test_a_decision_is_remembered_while_nothing_changes(member, permissions, eventually):
    check = (member.identity_id, "enter", "Platform:main")
    eventually(lambda: permissions.check(*check).allowed)

    def is_remembered():
        permissions.check(*check)
        return len(permissions._cache) > 0

    eventually(is_remembered)


def test_the_example_of_the_readme_runs_as_it_is_written(stack, member, tmp_path):
    key = stack.facts["admin_api_key"]
    admin = next(one for one in stack.facts["demo_members"] if one["role"] == "admin")
    with running_example(tmp_path, stack.edge_url, key) as example:
        said = example.customer(member.email, member.password)
        assert said["me:"] == str({"id": member.identity_id, "roles": ["user"]})
        assert (said["publish:"], said["edit:"]) == ("403", "403")
        said = example.customer(admin["email"], admin["password"])
        assert said["publish:"] == "200"
