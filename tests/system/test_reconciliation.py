"""Kratos, Keto and our tables are made to disagree; `kleis doctor` finds it and repairs it."""

import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.session_clients import Native, enroll_totp, totp


@pytest.fixture
def member(stack, person, permissions, eventually):
    person.register()
    person.verify()
    eventually(lambda: may_enter(permissions, person))
    eventually(lambda: len(person.mails()) == 2)
    # Who has something under way is left alone.
    eventually(lambda: not is_under_way(stack, person))
    return person


def is_under_way(stack, person):
    with psycopg.connect(stack.database_url) as connection:
        [found] = connection.execute(
            "select exists (select from outbox where identity_id = %s and done_at is null"
            " and lane <> 'event')",
            (UUID(person.identity_id),),
        ).fetchone()
    return found


@pytest.fixture
def keto(stack) -> Iterator[httpx.Client]:
    """Keto's write port, past the edge, which would change the member instead."""
    port = stack.environ["KLEIS_PORT_KETO_WRITE"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        yield client


def keto_lets_enter(stack, person):
    """Ask Keto itself: the edge may remember what was true before somebody wrote past it."""
    port = stack.environ["KLEIS_PORT_KETO_READ"]
    asked = relation_tuple(person, "enter")
    path = f"http://127.0.0.1:{port}/relation-tuples/check/openapi"
    return httpx.get(path, params=asked, trust_env=False, timeout=30).json()["allowed"]


def may_enter(permissions, person):
    return permissions.check_permission(
        namespace="Platform", object="main", relation="enter", subject_id=person.identity_id
    ).allowed


def doctor(stack, *arguments):
    answer = stack.run("doctor", "--json", *arguments)
    assert answer.stdout.startswith("{"), answer.stderr
    return json.loads(answer.stdout)


def repairs_of(report, person, key="drift"):
    return [
        repair
        for item in report[key]
        if item["subject"] == person.identity_id
        for repair in item["repairs"]
    ]


def relation_tuple(person, relation):
    return {
        "namespace": "Platform",
        "object": "main",
        "relation": relation,
        "subject_id": person.identity_id,
    }


def execute(stack, statement, person):
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(statement, (UUID(person.identity_id),))


def test_all_is_well_with_a_new_member(stack, member):
    assert repairs_of(doctor(stack), member) == []


def test_authority_that_was_taken_by_hand_is_given_back(stack, member, keto, permissions):
    keto.delete("/admin/relation-tuples", params=relation_tuple(member, "active"))
    assert not keto_lets_enter(stack, member)
    assert repairs_of(doctor(stack), member) == ["RepairAuthority"]

    doctor(stack, "--repair")

    assert keto_lets_enter(stack, member)
    assert may_enter(permissions, member)
    assert repairs_of(doctor(stack), member) == []


def test_authority_that_was_given_by_hand_is_taken(stack, member, admin, keto):
    keto.put("/admin/relation-tuples", json=relation_tuple(member, "admins"))

    doctor(stack, "--repair")

    answer = admin.get("/relation-tuples", params={"subject_id": member.identity_id})
    relations = {item["relation"] for item in answer.json()["relation_tuples"]}
    assert relations == {"active", "users"}


@pytest.mark.parametrize("subject", ["somebody", "A1F3B0A2-7D7B-4E0E-9C39-6F1B6F0F5C11"])
def test_authority_of_nobody_is_taken(stack, admin, keto, subject):
    stray = {"namespace": "Platform", "object": "main", "relation": "admins", "subject_id": subject}
    keto.put("/admin/relation-tuples", json=stray)

    doctor(stack, "--repair")

    found = admin.get("/relation-tuples", params={"subject_id": subject})
    assert found.json()["relation_tuples"] == []


def test_an_identity_whose_hooks_were_lost_becomes_a_member_again(stack, member, permissions):
    """As after a crash between Kratos' commit and ours, long enough ago."""
    for table in ("profiles", "recommendation_profiles", "members"):
        execute(stack, f"delete from {table} where identity_id = %s", member)
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "delete from handled_events where event = %s", (f"registration:{member.identity_id}",)
        )
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update identities set created_at = now() - interval '1 hour' where id = %s",
            (UUID(member.identity_id),),
        )

    report = doctor(stack, "--repair")

    assert repairs_of(report, member, "repaired")[-2:] == ["RegisterMember", "ActivateMember"]
    assert member.me(member.log_in()).json()["status"] == "active"


def test_sessions_of_somebody_who_may_have_none_end(stack, member):
    token = member.log_in()
    execute(
        stack,
        "update members set status = 'pending_verification' where identity_id = %s",
        member,
    )
    assert member.me(token).status_code == 403

    # The address is proven, so that it is the state that is repaired here.
    assert "ActivateMember" in repairs_of(doctor(stack, "--repair"), member, "repaired")
    assert member.me(token).status_code == 200


def test_a_second_factor_that_was_forgotten_is_asked_for_again(stack, member):
    """As after the hook of an enrolment was lost."""
    app = Native(stack, member)
    app.log_in()
    secret = enroll_totp(app)
    execute(stack, "update members set second_factor = false where identity_id = %s", member)
    assert repairs_of(doctor(stack), member) == ["RepairSecondFactor"]

    doctor(stack, "--repair")

    assert repairs_of(doctor(stack), member) == []
    fresh = Native(stack, member)
    fresh.log_in()
    assert fresh.whoami() == 403
    given = fresh.submit(fresh.start("login", aal="aal2"), method="totp", totp_code=totp(secret))
    assert (given.status_code, fresh.whoami()) == (200, 200)
    app.close()
    fresh.close()


def test_a_second_factor_that_is_gone_is_not_asked_for_any_more(stack, member):
    """As after somebody removed it at Kratos' own port: nobody could give it, so nobody got in."""
    app = Native(stack, member)
    app.log_in()
    enroll_totp(app)
    port = stack.environ["KLEIS_PORT_KRATOS_ADMIN"]
    path = f"/admin/identities/{member.identity_id}/credentials/totp"
    removed = httpx.delete(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=30)
    assert removed.status_code == 204
    fresh = Native(stack, member)
    fresh.log_in()
    assert fresh.whoami() == 403

    assert repairs_of(doctor(stack, "--repair"), member, "repaired") == ["RepairSecondFactor"]

    other = Native(stack, member)
    other.log_in()
    assert other.whoami() == 200
    for client in (app, fresh, other):
        client.close()


def test_the_command_for_operators_shows_a_member_and_its_history(stack, member):
    shown = stack.run("member", "show", member.email, "--json")
    facts = json.loads(shown.stdout)
    assert facts["status"] == "active"
    assert "verify_email by member" in facts["history"][-1]


def test_the_outbox_can_be_listed_and_tried_again(stack, member):
    listed = json.loads(stack.run("outbox", "list", "--json", "--limit", "10000").stdout)
    events = [item for item in listed if item["member"] == member.identity_id]
    assert {item["kind"] for item in events} == {"publish_event"}
    assert stack.run("outbox", "retry", events[0]["id"]).returncode == 0
    assert stack.run("outbox", "retry").returncode == 2
