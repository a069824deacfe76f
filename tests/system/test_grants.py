"""Roles and grants on the real stack: what an unmodified SDK is answered, and when it ends."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

PERMISSION = "members.suspend"


@pytest.fixture
def member(person, permissions, eventually):
    person.register()
    person.verify()
    eventually(lambda: allowed(permissions, person, "content.read"))
    return person


def allowed(permissions, person, name):
    return permissions.check_permission(
        namespace="Permission", object=name, relation="use", subject_id=person.identity_id
    ).allowed


def keto_allows(stack, person, name):
    """Ask Keto itself, past the edge."""
    answer = httpx.get(
        f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KETO_READ']}/relation-tuples/check/openapi",
        params={
            "namespace": "Permission",
            "object": name,
            "relation": "use",
            "subject_id": person.identity_id,
        },
        timeout=30,
    )
    return answer.json()["allowed"]


def settle(stack, person):
    settings = json.loads((stack.home / "settings.json").read_text())
    return httpx.post(
        f"http://127.0.0.1:{stack.environ['KLEIS_PORT_HOOKS']}/hooks/authority/settle",
        json={"subject_id": person.identity_id},
        headers={"X-Kleis-Hook-Secret": settings["KLEIS_HOOK_SECRET"]},
        timeout=30,
    )


def grant(client, person, *, lasts=None, permission=PERMISSION, **headers):
    body = {"subject": person.identity_id, "permission": permission, "reason": "incident 7"}
    if lasts is not None:
        body["expires_at"] = (datetime.now(UTC) + lasts).isoformat()
    return client.post("/api/admin/grants", json=body, headers=headers)


def as_member(stack, person):
    return httpx.Client(
        base_url=stack.edge_url, headers={"X-Session-Token": person.log_in()}, timeout=30
    )


def set_role(client, person, role):
    body = {"role": role, "reason": "a test"}
    return client.put(f"/api/admin/members/{person.identity_id}/role", json=body)


def subjects_of(person, word):
    return [mail["subject"] for mail in person.mails() if word in mail["subject"]]


def test_what_is_granted_is_allowed_until_it_is_revoked(member, admin, permissions, eventually):
    assert not allowed(permissions, member, PERMISSION)

    answer = grant(admin, member)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["subject"] == member.identity_id
    assert made["granted_by"].startswith("key:")
    eventually(lambda: allowed(permissions, member, PERMISSION))
    eventually(lambda: subjects_of(member, f"You may do more now: {PERMISSION}"))

    again = grant(admin, member)
    assert again.status_code == 409
    assert again.json()["type"] == "urn:kleis:problem:grant_exists"
    assert again.json()["id"] == made["id"]

    assert admin.delete(f"/api/admin/grants/{made['id']}").status_code == 204
    assert admin.delete(f"/api/admin/grants/{made['id']}").status_code == 204
    eventually(lambda: not allowed(permissions, member, PERMISSION))
    eventually(lambda: subjects_of(member, f"A permission was taken away: {PERMISSION}"))
    assert admin.get(f"/api/admin/grants/{made['id']}").json()["state"] == "revoked"
    entries = admin.get("/api/admin/audit", params={"subject": member.identity_id}).json()["items"]
    assert [entry["action"] for entry in entries] == ["grant.revoked", "grant.created"]
    assert entries[1]["reason"] == "incident 7"


def test_a_wildcard_covers_what_is_below_it_and_nothing_beside(
    member, admin, permissions, eventually
):
    grant(admin, member, permission="reports.*")
    eventually(lambda: allowed(permissions, member, "reports.review"))
    assert not allowed(permissions, member, PERMISSION)


def test_a_role_has_what_it_has_and_a_change_counts_both_ways(
    stack, member, admin, permissions, eventually
):
    assert not allowed(permissions, member, "content.publish")

    assert set_role(admin, member, "creator").json()["before"] == "user"

    eventually(lambda: allowed(permissions, member, "content.publish"))
    assert allowed(permissions, member, "content.read")
    assert not allowed(permissions, member, PERMISSION)
    eventually(lambda: subjects_of(member, "Your role is now creator"))
    set_role(admin, member, "admin")
    eventually(lambda: allowed(permissions, member, "roles.write"))
    set_role(admin, member, "user")
    eventually(lambda: not allowed(permissions, member, "content.publish"))
    assert not allowed(permissions, member, "roles.write")


def test_expiry_is_exact_with_the_worker_stopped_and_the_tuple_still_in_keto(
    stack, member, admin, eventually, stopped
):
    stopped("worker")
    # Longer each time: on a slow machine one may end before it is in Keto.
    for seconds in (1, 10, 60):
        made = grant(admin, member, lasts=timedelta(seconds=seconds)).json()
        eventually(lambda: settle(stack, member).status_code == 204)
        if keto_allows(stack, member, PERMISSION):
            break
    ends = datetime.fromisoformat(made["expires_at"])
    eventually(lambda: datetime.now(UTC) > ends)
    assert keto_allows(stack, member, PERMISSION)

    # A busy machine may need more than the time that settling has at once.
    eventually(lambda: settle(stack, member).status_code == 204)

    assert not keto_allows(stack, member, PERMISSION)
    assert admin.get(f"/api/admin/grants/{made['id']}").json()["state"] == "expired"
    assert settle(stack, member).status_code == 204


def test_what_is_overdue_is_ended_by_the_worker_alone(stack, member, admin, eventually):
    made = grant(admin, member, lasts=timedelta(hours=1)).json()
    eventually(lambda: keto_allows(stack, member, PERMISSION))
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "update permission_grants set expires_at = now() where id = %s", (made["id"],)
        )
    eventually(lambda: not keto_allows(stack, member, PERMISSION))
    actions = eventually(lambda: actions_of(admin, member, "grant.expired"))
    assert len(actions) == 1


def actions_of(admin, member, action):
    query = {"subject": member.identity_id, "action": action}
    return admin.get("/api/admin/audit", params=query).json()["items"]


def test_nobody_is_settled_while_keto_does_not_answer(stack, member, admin, stopped):
    stopped("worker")
    grant(admin, member)
    stopped("keto")

    # The answer comes although Keto's never does.
    assert settle(stack, member).status_code == 503


def test_a_worker_killed_between_the_commit_and_the_delivery_loses_no_grant(
    *, stack, member, admin, permissions, eventually, stopped
):
    old = stopped("worker")
    assert grant(admin, member).status_code == 201
    os.kill(old, signal.SIGKILL)
    stack.await_restart("worker", old)
    eventually(lambda: allowed(permissions, member, PERMISSION))


def test_what_an_sdk_grants_for_good_stays_and_is_shown(
    stack, member, admin, permissions, eventually
):
    written = {
        "namespace": "Permission",
        "object": "content.moderate",
        "relation": "granted",
        "subject_id": member.identity_id,
    }
    assert admin.put("/admin/relation-tuples", json=written).status_code == 201
    grant(admin, member)
    eventually(lambda: allowed(permissions, member, PERMISSION))

    report = json.loads(stack.run("doctor", "--json", "--repair").stdout)

    line = f"Permission:content.moderate#granted@{member.identity_id}"
    assert line in report["elsewhere"]
    assert allowed(permissions, member, "content.moderate")
    assert allowed(permissions, member, PERMISSION)


def test_a_tuple_of_a_grant_written_or_taken_by_hand_is_put_right(
    stack, member, admin, permissions, eventually
):
    tuple_of_grant = {
        "namespace": "Permission",
        "object": PERMISSION,
        "relation": "granted",
        "subject_id": member.identity_id,
    }
    keto = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KETO_WRITE']}/admin/relation-tuples"
    made = grant(admin, member).json()
    eventually(lambda: allowed(permissions, member, PERMISSION))
    httpx.delete(keto, params=tuple_of_grant, timeout=30).raise_for_status()
    stack.run("doctor", "--repair")
    assert allowed(permissions, member, PERMISSION)

    admin.delete(f"/api/admin/grants/{made['id']}")
    eventually(lambda: not allowed(permissions, member, PERMISSION))
    httpx.put(keto, json=tuple_of_grant, timeout=30).raise_for_status()
    assert keto_allows(stack, member, PERMISSION)
    stack.run("doctor", "--repair")
    assert not keto_allows(stack, member, PERMISSION)


def test_a_permission_missing_from_keto_is_seeded_again(stack, member, permissions):
    keto = f"http://127.0.0.1:{stack.environ['KLEIS_PORT_KETO_WRITE']}/admin/relation-tuples"
    of_users = {
        "namespace": "Permission",
        "object": "content.read",
        "relation": "granted",
        "subject_set.namespace": "Platform",
        "subject_set.object": "main",
        "subject_set.relation": "users",
    }
    httpx.delete(keto, params=of_users, timeout=30).raise_for_status()
    # Past the edge, which may remember for a while that it was allowed.
    assert not keto_allows(stack, member, "content.read")
    report = json.loads(stack.run("doctor", "--json").stdout)
    assert {"subject": "permissions", "repairs": ["SyncPermissions"]} in report["drift"]

    stack.run("doctor", "--repair")

    assert keto_allows(stack, member, "content.read")
    assert allowed(permissions, member, "content.read")


def test_an_application_adds_a_permission_and_grants_it(
    stack, member, admin, permissions, eventually
):
    name = f"invoices.{member.username}"
    unknown = grant(admin, member, permission=name)
    assert unknown.json()["type"] == "urn:kleis:problem:permission_unknown"

    body = {"name": name, "description": "Approve invoices."}
    assert admin.post("/api/admin/permissions", json=body).status_code == 201

    assert admin.post("/api/admin/permissions", json=body).status_code == 200
    assert grant(admin, member, permission=name).status_code == 201
    eventually(lambda: allowed(permissions, member, name))
    shown = json.loads(stack.run("permission", "list", "--json").stdout)
    assert name in [item["name"] for item in shown]


def test_a_member_that_asks_again_and_again_has_to_wait(stack, member):
    with as_member(stack, member) as asking:
        wish = {"permission": PERMISSION, "duration": "PT1M", "reason": "on call"}
        for _ in range(10):
            asked = asking.post("/api/me/elevations", json=wish)
            assert asked.status_code == 201, asked.text
            assert asking.delete(f"/api/me/elevations/{asked.json()['id']}").is_success

        refused = asking.post("/api/me/elevations", json=wish)

        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:kleis:problem:too_many_requests"
        wait = int(refused.headers["retry-after"])
        assert 3500 < wait <= 3600
        assert refused.headers["ratelimit-policy"] == '"elevations";q=10;w=3600'
        assert refused.headers["ratelimit"] == f'"elevations";r=0;t={wait}'


def test_a_member_asks_and_only_another_person_approves(
    *, stack, people, member, admin, permissions, eventually
):
    chief = people()
    chief.register()
    chief.verify()
    set_role(admin, chief, "admin")
    grant(admin, member, permission="grants.write")
    with as_member(stack, member) as asking, as_member(stack, chief) as deciding:
        asked = asking.post(
            "/api/me/elevations",
            json={"permission": PERMISSION, "duration": "PT1M", "reason": "on call"},
        )
        assert asked.status_code == 201, asked.text
        address = f"/api/admin/elevations/{asked.json()['id']}"

        own = asking.post(f"{address}/approve", json={})
        assert own.status_code == 403
        assert own.json()["type"] == "urn:kleis:problem:same_person"
        key = admin.post(f"{address}/approve", json={})
        assert key.json()["type"] == "urn:kleis:problem:person_required"
        assert not allowed(permissions, member, PERMISSION)

        approved = deciding.post(f"{address}/approve", json={"reason": "yes"})

    assert approved.status_code == 200, approved.text
    made = admin.get(f"/api/admin/grants/{approved.json()['grant']}").json()
    assert made["granted_by"] == f"member:{chief.identity_id}"
    assert made["expires_at"] is not None
    eventually(lambda: allowed(permissions, member, PERMISSION))
    entries = admin.get("/api/admin/audit", params={"subject": member.identity_id}).json()["items"]
    assert [entry["action"] for entry in entries][:3] == [
        "elevation.approved",
        "grant.created",
        "elevation.requested",
    ]


def test_a_member_without_the_permission_is_refused_and_one_with_it_is_not(
    stack, member, admin, another_person
):
    another_person.register()
    another_person.verify()
    with as_member(stack, member) as client:
        refused = client.get("/api/admin/grants")
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:kleis:problem:permission_missing"

        grant(admin, member, permission="grants.*")
        assert client.get("/api/admin/grants").status_code == 200
        beyond = grant(client, another_person)
        assert beyond.status_code == 403
        assert beyond.json()["type"] == "urn:kleis:problem:permission_not_held"
        oneself = grant(client, member, permission="grants.read")
        assert oneself.json()["type"] == "urn:kleis:problem:grant_to_oneself"
        assert grant(client, another_person, permission="grants.read").status_code == 201


def test_the_operator_grants_lists_renews_and_revokes_at_the_terminal(stack, member):
    made = json.loads(
        stack.run(
            "grant",
            "add",
            member.email,
            PERMISSION,
            "--reason",
            "on call",
            "--expires-in",
            "PT1H",
            "--json",
        ).stdout
    )[0]
    assert made["granted_by"] == "operator"
    renewed = stack.run("grant", "renew", made["id"], "--expires-in", "PT2H")
    assert renewed.returncode == 0, renewed.stderr
    listed = json.loads(stack.run("grant", "list", member.email, "--json").stdout)
    assert [item["id"] for item in listed] == [made["id"]]
    assert listed[0]["expires_at"] > made["expires_at"]
    assert stack.run("grant", "revoke", made["id"]).returncode == 0
    assert json.loads(stack.run("grant", "list", member.email, "--json").stdout) == []
    entries = json.loads(
        stack.run("audit", "list", "--subject", member.identity_id, "--json").stdout
    )
    assert [entry["action"] for entry in entries] == [
        "grant.revoked",
        "grant.renewed",
        "grant.created",
    ]
    wrong = stack.run("grant", "add", member.email, "no.such", "--reason", "x")
    assert wrong.returncode == 1
    assert "no such permission" in wrong.stderr


def test_a_session_under_a_hold_opens_no_admin_api(stack, member, admin, eventually):
    grant(admin, member, permission="grants.read")
    with as_member(stack, member) as client:
        assert client.get("/api/admin/grants").status_code == 200
        session = client.get("/sessions/whoami").json()
        hold(stack, member, session)
        held = client.get("/api/admin/grants")
    assert held.status_code == 403
    assert held.json()["type"] == "urn:kleis:problem:session_aal2_required"


def hold(stack, person, session):
    statement = """
        INSERT INTO member_sessions (session_id, identity_id, started_at, authenticated_at,
            expires_at, methods, aal, last_activity_at, hold, hold_since)
        VALUES (%s, %s, now(), now(), now() + interval '1 hour', '{password}', 'aal1', now(),
            'new_device', now())
        ON CONFLICT (session_id) DO UPDATE SET hold = 'new_device', hold_since = now()
    """
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(statement, (session["id"], person.identity_id))


def test_a_member_who_is_suspended_loses_the_admin_api_at_once(stack, member, admin):
    grant(admin, member, permission="grants.read")
    with as_member(stack, member) as client:
        assert client.get("/api/admin/grants").status_code == 200
        state = [{"op": "replace", "path": "/state", "value": "inactive"}]
        admin.patch(f"/admin/identities/{member.identity_id}", json=state).raise_for_status()
        assert client.get("/api/admin/grants").status_code in (401, 403)


def test_an_application_adds_a_permission_and_removes_it(stack, member, permissions, eventually):
    added = stack.run("permission", "add", "invoices.pay", "--role", "user")
    assert added.returncode == 0, added.stderr
    eventually(lambda: allowed(permissions, member, "invoices.pay"))

    removed = stack.run("permission", "remove", "invoices.pay", "--reason", "no invoices")

    assert removed.stdout == "invoices.pay is removed\n", removed.stderr
    assert not allowed(permissions, member, "invoices.pay")
    again = stack.run("permission", "remove", "invoices.pay")
    assert again.returncode != 0
    assert "no permission of this name" in again.stderr
