"""One part is gone: what still works, what is refused in words, and that all is well afterwards."""

import httpx
from ory_client.exceptions import ApiException


def is_ready(stack):
    try:
        return httpx.get(f"{stack.edge_url}/health/ready", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_the_hooks_listener_dies_during_a_registration_and_is_back(stack, person, eventually):
    """Kratos asks three times within three seconds; what it cannot ask, it refuses."""
    old = stack.kill("service")
    refusal = refusal_of(person.register)
    if refusal is not None:
        assert refusal.status >= 500
        assert "/hooks/" not in refusal.body
        assert "127.0.0.1:" not in refusal.body.replace(stack.edge_url, "")
        stack.await_restart("service", old)
        eventually(lambda: is_ready(stack))
        person.register()
    person.verify()
    assert person.me(person.log_in()).json()["status"] == "active"


def refusal_of(call):
    try:
        call()
    except ApiException as error:
        return error
    return None


def test_kratos_is_gone(stack, person, eventually):
    old = stack.kill("kratos")

    answer = httpx.get(f"{stack.edge_url}/self-service/login/api", timeout=30)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["type"].startswith("urn:kleis:problem:")
    assert answer.json()["error"]["code"] == 503
    stack.await_restart("kratos", old)
    eventually(lambda: is_ready(stack))
    person.register()


def test_keto_is_gone_and_what_was_due_comes_later(stack, person, permissions, eventually):
    person.register()
    code = person.code()
    old = stack.kill("keto")

    person.verify(code)

    assert person.me(person.log_in()).json()["status"] == "active"
    stack.await_restart("keto", old)
    eventually(
        lambda: (
            permissions.check_permission(
                namespace="Platform", object="main", relation="enter", subject_id=person.identity_id
            ).allowed
        )
    )


def test_valkey_is_gone_and_nobody_notices_but_the_mail_is_late(stack, person, eventually):
    person.register()
    code = person.code()
    old = stack.kill("valkey")

    person.verify(code)
    token = person.log_in()

    assert person.me(token).json()["status"] == "active"
    stack.await_restart("valkey", old)
    eventually(lambda: len(person.mails()) == 2)


def test_readiness_says_when_the_broker_is_missing(stack, stopped):
    stopped("valkey")

    answer = httpx.get(f"{stack.edge_url}/health/ready", timeout=20)

    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["limits", "valkey"]


def test_postgresql_is_gone_and_everything_with_authority_is_closed(stack, person, eventually):
    person.register()
    person.verify()
    token = person.log_in()
    old = stack.kill("postgres")

    assert person.me(token).status_code in {401, 503}
    answer = httpx.get(
        f"{stack.edge_url}/sessions/whoami", headers={"X-Session-Token": token}, timeout=30
    )
    assert answer.status_code in {401, 500, 502, 503}
    stack.await_restart("postgres", old)
    eventually(lambda: is_ready(stack))
    assert person.me(token).status_code == 200
