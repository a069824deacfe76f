"""Decisions at the edge: what is remembered, what is never, and what happens in doubt."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from integration.db import epochs
from policies.authority import GUEST_SUBJECT
from tests.decision_stage import Keto, Stage, new_key
from tests.edge_stage import PATIENCE, ask, edge_running, free_port, settings_for, upstream_running

GUEST = "guest"


@contextmanager
def stage_with(services, **changes) -> Iterator[Stage]:
    keto = Keto()
    with upstream_running(keto):
        here = f"http://127.0.0.1:{keto.port}/"
        values = {
            "database_url": services.settings.database_url.get_secret_value(),
            "valkey_url": services.settings.valkey_url.get_secret_value(),
            "hooks_url": here,
        }
        settings = settings_for(keto.port, **(values | changes))
        with edge_running(settings) as port:
            stage = Stage(port, keto, services, new_key(services, "permissions:read"))
            keto.settle = stage.settle
            yield stage


@pytest.fixture
def stage(services) -> Iterator[Stage]:
    with stage_with(services) as made:
        yield made


def heard(stage: Stage, subject: str) -> None:
    """Return when the edge knows everything that was committed before."""
    stage.check(subject, "Content:heard", fresh=True)


def until(true, *, seconds: float = PATIENCE) -> None:
    """Wait for something; it is late by what was asked after that time, not by a slow answer."""
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.monotonic()
        if true():
            return
        assert asked_at < deadline
        time.sleep(0.02)


# Answers


def test_keto_decides_and_the_answer_says_at_which_epoch(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))

    assert stage.check(subject) == {
        "allowed": True,
        "reason": "allowed",
        "epoch": "0.0",
        "until": None,
    }
    assert stage.check(subject, "Content:b") == {
        "allowed": False,
        "reason": "denied",
        "epoch": "0.0",
        "until": None,
    }


def test_a_permission_is_asked_as_the_permit_use(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "content.publish"))

    answered = stage.post("check", subject=subject, permission="content.publish")

    assert answered.json()["allowed"] is True
    sent = [json.loads(each["body"]) for each in stage.keto.seen if b"publish" in each["body"]]
    assert [each["namespace"] + "#" + each["relation"] for each in sent] == ["Permission#use"]


@pytest.mark.parametrize("status", ["suspended", "banned", "deactivated", "pending_verification"])
def test_whoever_is_not_active_may_nothing_whatever_keto_says(stage, status):
    subject = stage.member(status)
    stage.keto.allowed.add((subject, "a"))

    assert stage.check(subject)["reason"] == "gate_closed"
    # Keto is asked while a subject is looked up the first time; from then on it is not.
    assert stage.check(subject, "Content:b")["reason"] == "gate_closed"
    assert stage.keto.asked[subject, "b"] == 0


def test_a_guest_is_asked_about_as_its_own_subject(stage):
    stage.keto.allowed.add((GUEST_SUBJECT, "a"))

    assert stage.check(GUEST)["allowed"] is True


def test_nobody_is_an_error_and_a_denial_to_nobody(stage):
    answered = stage.post("check", subject=str(uuid4()), permission="content.publish")

    assert answered.status == 404
    assert answered.json()["type"] == "urn:kleis:problem:subject_unknown"


def test_who_registers_after_being_unknown_is_known(stage):
    subject = str(uuid4())
    assert stage.post("check", subject=subject, permission="a.b").status == 404
    stage.execute(
        "insert into members (identity_id, status, role, status_changed_at, registered_at)"
        " values (:id, 'active', 'user', now(), now())",
        id=subject,
    )

    assert stage.post("check", subject=subject, permission="a.b").status == 200


# Who may ask


def test_a_member_asks_about_itself_alone(stage):
    me, other = stage.member(), stage.member()
    session = {"X-Session-Token": me}
    stage.keto.allowed.add((me, "content.publish"))

    mine = stage.post("check", headers=session, permission="content.publish")
    theirs = stage.post("check", headers=session, permission="content.publish", subject=other)

    assert mine.json()["allowed"] is True
    assert (theirs.status, theirs.json()["type"]) == (403, "urn:kleis:problem:subject_not_yours")


@pytest.mark.parametrize("path", ["check", "batch-check"])
def test_without_credentials_or_scope_nobody_asks(stage, path):
    wrong = new_key(stage.services, "identities:write")

    assert stage.post(path, headers={}, permission="a.b").status == 401
    assert stage.post(path, headers=wrong, permission="a.b").status == 403


def test_a_key_has_no_permissions_of_its_own(stage):
    answered = stage.post("check", permission="content.publish")

    assert answered.json()["type"] == "urn:kleis:problem:subject_required"


# Memory


def test_the_same_question_is_put_to_keto_once(stage):
    subject = stage.member()
    heard(stage, subject)

    for _ in range(5):
        stage.check(subject)

    assert stage.keto.asked[subject, "a"] == 1


def test_equal_questions_at_once_are_one(stage):
    subject = stage.member()
    heard(stage, subject)
    stage.keto.seconds = 0.3
    threads = [threading.Thread(target=stage.check, args=(subject,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stage.keto.asked[subject, "a"] == 1


def test_what_is_revoked_is_denied_by_every_edge_within_a_second_and_at_once_when_asked(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    heard(stage, subject)
    assert stage.check(subject)["allowed"] is True

    stage.keto.allowed.clear()
    stage.move(subject)

    assert stage.check(subject, fresh=True)["allowed"] is False
    stage.keto.allowed.add((subject, "a"))
    stage.move(subject)
    until(lambda: stage.check(subject)["allowed"] is True)
    stage.keto.allowed.clear()
    stage.move(subject)
    until(lambda: stage.check(subject)["allowed"] is False, seconds=1)


def test_a_change_of_edges_is_heard_as_well(stage):
    subject = stage.member()
    heard(stage, subject)
    stage.check(subject)

    stage.move("00000000-0000-0000-0000-000000000000")
    stage.keto.allowed.add((subject, "a"))

    assert stage.check(subject, fresh=True) == {
        "allowed": True,
        "reason": "allowed",
        "epoch": "0.1",
        "until": None,
    }


def test_an_answer_that_was_asked_before_a_change_is_not_remembered(stage):
    subject = stage.member()
    heard(stage, subject)
    stage.keto.allowed.add((subject, "a"))
    stage.keto.seconds = 0.5
    early = threading.Thread(target=stage.check, args=(subject,))
    early.start()
    until(lambda: stage.keto.asked[subject, "a"] == 1)

    stage.keto.allowed.clear()
    stage.move(subject)
    heard(stage, subject)
    early.join()

    assert stage.check(subject)["allowed"] is False


def test_a_tuple_written_past_the_edge_is_seen_when_the_memory_ends(services):
    with stage_with(services, decision_cache_lifetime="PT0.3S") as stage:
        subject = stage.member()
        heard(stage, subject)
        stage.check(subject)
        stage.keto.allowed.add((subject, "a"))

        until(lambda: stage.check(subject)["allowed"] is True)


# Epochs that a caller knows


def test_an_edge_answers_at_least_at_the_epoch_its_caller_knows(stage):
    subject = stage.member()
    stage.check(subject)
    stage.keto.allowed.add((subject, "a"))
    epoch = stage.move(subject)

    assert stage.check(subject, at_least=f"{epoch}.0") == {
        "allowed": True,
        "reason": "allowed",
        "epoch": "1.0",
        "until": None,
    }


def test_an_epoch_that_nobody_reached_is_denied(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))

    assert stage.check(subject, at_least="7.0")["reason"] == "stale"


# Settling


def test_a_subject_that_is_settling_is_settled_before_it_is_asked_about(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.move(subject, authority=True)

    def settle(who: str) -> int:
        stage.keto.allowed.clear()
        return stage.settle(who)

    stage.keto.settle = settle
    assert stage.check(subject)["reason"] == "denied"
    assert stage.keto.settled == [subject]


@pytest.mark.parametrize("status", [503, 500, 200])
def test_whoever_cannot_be_settled_is_denied_and_that_is_not_remembered(stage, status):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.move(subject, authority=True)
    stage.keto.settle = lambda _: status

    # Whatever Keto says meanwhile.
    assert stage.check(subject)["reason"] == "settling"
    assert stage.check(subject)["reason"] == "settling"

    stage.keto.settle = stage.settle
    assert stage.check(subject)["allowed"] is True


def test_settled_is_what_our_tables_say_and_not_what_was_answered(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.move(subject, authority=True)
    stage.keto.settle = lambda _: 204

    assert stage.check(subject)["reason"] == "settling"


def test_a_grant_ends_to_the_moment_although_keto_still_has_it(stage):
    stage.keto.settle = lambda _: 503
    # Longer each time: on a slow machine one may end before the edge has heard of it.
    for seconds in (1.0, 8.0, 60.0):
        subject = stage.member()
        stage.keto.allowed.add((subject, "a"))
        stage.grant(subject, seconds=seconds)
        stage.move(subject)
        [(ends,)] = stage.execute(
            "select expires_at from permission_grants where subject_id = :id", id=subject
        )
        heard(stage, subject)
        is_allowed = stage.check(subject)["allowed"]
        if datetime.now(UTC) < ends:
            break
    assert is_allowed

    while is_allowed:
        asked_at = datetime.now(UTC)
        is_allowed = stage.check(subject)["allowed"]
        assert asked_at < ends + timedelta(seconds=0.05) or not is_allowed
    assert datetime.now(UTC) > ends - timedelta(seconds=0.05)
    assert stage.check(subject)["reason"] == "settling"


def test_an_allow_says_when_the_grant_that_gives_it_ends(stage):
    subject = stage.member()
    stage.keto.allowed |= {(subject, "content.publish"), (subject, "content.read")}
    stage.grant(subject, seconds=600)
    stage.move(subject)
    heard(stage, subject)

    def asked(name: str) -> dict:
        return stage.post("check", subject=subject, permission=name).json()

    first, remembered = asked("content.publish"), asked("content.publish")

    assert datetime.fromisoformat(first["until"]).timestamp() == pytest.approx(
        time.time() + 600, abs=30
    )
    assert remembered == first
    batch = stage.post(
        "batch-check", checks=[{"subject": subject, "permission": "content.publish"}]
    )
    assert batch.json()["results"] == [first]
    assert asked("content.read")["until"] is None
    assert asked("content.rate")["until"] is None
    assert stage.check(subject, "Content:b")["until"] is None


# Keto is asked while a subject is looked up: its answer counts only if nothing moved meanwhile


def test_one_look_at_the_subject_and_one_question_to_keto_are_asked_together(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.check(stage.member())
    stage.keto.asked.clear()

    assert stage.check(subject)["reason"] == "allowed"
    assert stage.check(subject)["reason"] == "allowed"
    assert stage.keto.asked == {(subject, "a"): 1}


def test_an_answer_from_before_a_subject_was_settled_does_not_count(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.check(stage.member())
    lock = stage.services.engine.connect()
    lock.execute(text("lock table permission_grants in access exclusive mode"))
    said = []
    asking = threading.Thread(target=lambda: said.append(stage.check(subject)))
    asking.start()
    # Keto has answered "yes"; the subject is still being looked up.
    until(lambda: stage.keto.asked[subject, "a"] == 1)
    stage.keto.allowed.clear()
    with stage.services.transaction() as session:
        epoch = epochs.move(session, UUID(subject), authority=True)
        epochs.settled(session, UUID(subject), epoch)
    lock.rollback()
    lock.close()
    asking.join()

    assert (said[0]["allowed"], said[0]["epoch"]) == (False, "1.0")
    assert stage.keto.asked[subject, "a"] == 2


def test_a_slow_settling_ends_with_the_deadline_of_the_decision(services):
    with stage_with(services, decision_timeout="PT0.3S") as stage:
        subject = stage.member()
        stage.move(subject, authority=True)
        is_answered = threading.Event()
        stage.keto.settle = lambda _: 204 if is_answered.wait(PATIENCE) else 500

        # The settling goes on until this is answered.
        assert stage.check(subject)["allowed"] is False
        is_answered.set()


# Keto in trouble


@pytest.mark.parametrize(
    "broken",
    [
        (500, '{"allowed": true}'),
        (200, '{"allowed": "true"}'),
        (200, "true"),
        (200, "not json"),
        (403, '{"allowed": true}'),
        (404, "404 page not found"),
    ],
)
def test_anything_but_a_clear_answer_is_denied_and_not_remembered(stage, broken):
    subject = stage.member()
    heard(stage, subject)
    stage.keto.allowed.add((subject, "a"))
    stage.keto.broken = broken

    assert stage.check(subject)["reason"] == "unknown"

    stage.keto.broken = None
    assert stage.check(subject)["allowed"] is True


def test_a_check_that_never_answers_is_denied_in_time_and_its_connection_closed(services):
    with stage_with(services, decision_timeout="PT0.3S") as stage:
        subject = stage.member()
        stage.keto.seconds = 8

        assert stage.check(subject)["reason"] == "unknown"


def test_last_known_is_believed_only_where_the_site_says_so(services):
    changes = {"decision_cache_lifetime": "PT0.1S", "decision_last_known": "PT30S"}
    with stage_with(services, **changes) as stage:
        subject = stage.member()
        heard(stage, subject)
        stage.keto.allowed |= {(subject, "a")}
        assert stage.check(subject)["allowed"] is True
        assert stage.check(subject, action="edit")["allowed"] is True
        stage.keto.broken = (500, "")
        until(lambda: stage.check(subject, action="edit")["reason"] == "unknown")

        assert stage.check(subject)["reason"] == "last_known"
        stage.move(subject)
        assert stage.check(subject, fresh=True)["allowed"] is False


def test_without_postgresql_nothing_is_decided(services):
    with stage_with(services, database_url="postgresql://kleis:x@127.0.0.1:1/kleis") as stage:
        assert stage.post("check", subject=GUEST, permission="a.b").status == 503


# Batches


def test_a_batch_answers_in_order_and_a_bad_item_fails_alone(stage):
    subject, nobody = stage.member(), str(uuid4())
    stage.keto.allowed.add((subject, "a"))
    good = {"subject": subject, "action": "view", "resource": "Content:a"}
    checks = [
        good,
        {**good, "resource": "Content:b"},
        {**good, "action": "fly"},
        {**good, "subject": nobody},
        good,
        "x",
    ]

    answered = stage.post("batch-check", checks=checks)

    assert answered.status == 200
    results = answered.json()["results"]
    assert [each.get("allowed") for each in results] == [True, False, None, None, True, None]
    codes = [each["error"]["type"].rpartition(":")[2] for each in results if "error" in each]
    assert codes == ["action_unknown", "subject_unknown", "question_malformed"]
    assert stage.keto.asked[subject, "a"] == 1


@pytest.mark.parametrize("checks", [[], {}, None, [{}] * 1001])
def test_a_batch_of_another_shape_is_refused(stage, checks):
    answered = stage.post("batch-check", checks=checks)

    assert answered.json()["type"] == "urn:kleis:problem:batch_malformed"


@pytest.mark.parametrize("orys", [False, True])
def test_a_large_batch_of_one_key_leaves_answers_to_the_batches_of_others(services, orys):
    with stage_with(services, upstream_timeout="PT3S") as stage:
        subject = stage.member()
        stage.keto.allowed |= {(subject, f"few-{number}") for number in range(6)}
        stage.check(subject)
        stage.keto.seconds = 0.05
        other = new_key(services, "permissions:read")

        def batch(names, **more) -> list[dict]:
            if orys:
                # A bare relation: always asked.
                named = {"namespace": "Content", "relation": "owners", "subject_id": subject}
                document = {"tuples": [named | {"object": name} for name in names]}
                answered = stage.send("/relation-tuples/batch/check", document, **more)
            else:
                named = {"subject": subject, "action": "view"}
                checks = [named | {"resource": f"Content:{name}"} for name in names]
                answered = stage.post("batch-check", checks=checks, **more)
            return answered.json()["results"]

        # A thousand at four or so at once take longer than their deadline.
        large = threading.Thread(target=batch, args=([f"many-{n}" for n in range(1000)],))
        large.start()
        until(lambda: stage.keto.asked.total() > 4)

        few = batch([f"few-{number}" for number in range(6)], headers=other)

        assert [each["allowed"] for each in few] == [True] * 6
        assert stage.keto.asked.total() < 500
        large.join()


def test_a_keto_with_batches_is_asked_in_batches(stage):
    subject = stage.member()
    stage.keto.batch = True
    stage.keto.allowed |= {(subject, str(number)) for number in range(0, 40, 2)}
    checks = [
        {"subject": subject, "action": "view", "resource": f"Content:{number}"}
        for number in range(40)
    ]

    answered = stage.post("batch-check", checks=checks)

    assert [each["allowed"] for each in answered.json()["results"]] == [True, False] * 20
    assert stage.keto.asked == {"batches": 4}


# Ory's own paths


def ory(stage: Stage, subject: str, relation: str = "view", path: str = "/check/openapi", **more):
    document = {"namespace": "Content", "object": "a", "relation": relation, "subject_id": subject}
    return stage.send(f"/relation-tuples{path}", document | more)


def test_ory_s_checks_are_keto_s_answers_in_their_shape(stage):
    subject = stage.member()
    assert ory(stage, subject).json() == {"allowed": False}
    assert ory(stage, subject, path="/check").status == 403
    assert ory(stage, subject, relation="owners", path="/check").status == 403
    stage.keto.allowed.add((subject, "a"))
    stage.move(subject)
    heard(stage, subject)

    assert ory(stage, subject).json() == {"allowed": True}
    assert ory(stage, subject, path="/check").status == 200
    assert ory(stage, subject, relation="owners", path="/check").json() == {"allowed": True}
    query = f"namespace=Content&object=a&relation=view&subject_id={subject}"
    answered = ask(stage.port, "GET", f"/relation-tuples/check?{query}", headers=stage.key)
    assert (answered.status, answered.json()) == (200, {"allowed": True})


def test_permits_of_ory_s_checks_are_remembered_and_bare_relations_are_not(stage):
    subject = stage.member()
    heard(stage, subject)
    for _ in range(3):
        ory(stage, subject)
    assert stage.keto.asked[subject, "a"] == 1
    for _ in range(3):
        ory(stage, subject, relation="owners")
    assert stage.keto.asked[subject, "a"] == 4


@pytest.mark.parametrize("relation", ["view", "owners"])
@pytest.mark.parametrize("path", ["/check", "/check/openapi"])
def test_an_ended_grant_is_taken_from_keto_before_ory_s_check(stage, relation, path):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.grant(subject, seconds=-1)
    denied = 403 if path == "/check" else 200

    stage.keto.settle = lambda _: 503
    refused = ory(stage, subject, relation, path)
    assert (refused.status, refused.json()) == (denied, {"allowed": False})
    before = stage.keto.asked[subject, "a"]

    def settle(who: str) -> int:
        stage.keto.allowed.clear()
        return stage.settle(who)

    stage.keto.settle = settle
    asked = ory(stage, subject, relation, path)
    assert (asked.status, asked.json()) == (denied, {"allowed": False})
    assert stage.keto.asked[subject, "a"] == before + 1


def test_a_subject_of_another_kind_is_keto_s_alone(stage):
    stage.keto.allowed.add(("service-7", "a"))

    assert ory(stage, "service-7").json() == {"allowed": True}
    assert stage.keto.settled == []


def test_ory_s_batch_settles_too_and_a_bad_tuple_fails_alone(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "a"))
    stage.grant(subject, seconds=-1)
    stage.keto.settle = lambda _: 503
    good = {"namespace": "Content", "object": "a", "relation": "view", "subject_id": subject}
    bare = good | {"relation": "owners"}
    tuples = [good, bare, good | {"object": "'; drop"}, good | {"extra": 1}]

    answered = stage.send("/relation-tuples/batch/check", {"tuples": tuples})

    results = answered.json()["results"]
    assert [each["allowed"] for each in results] == [False] * 4
    assert all("error" in each for each in results)
    assert not stage.keto.asked


# What a member may do


def listed(stage: Stage, subject: str, headers=None):
    target = f"/api/permissions/{subject}"
    return ask(stage.port, "GET", target, headers=headers or stage.key)


def test_role_permissions_and_grants_of_a_member_are_listed(stage):
    subject = stage.member(role="creator")
    stage.grant(subject, seconds=60)
    stage.grant(subject, seconds=-60)
    stage.execute(
        "insert into permissions (name, lowest_role, created_at, created_by)"
        " values ('invoices.read', 'user', now(), 'test'), ('invoices.pay', null, now(), 'test')"
    )

    answer = listed(stage, subject).json()

    assert (answer["role"], answer["status"]) == ("creator", "active")
    assert {"content.create", "invoices.read"} <= set(answer["permissions"])
    assert "invoices.pay" not in answer["permissions"]
    (grant,) = answer["grants"]
    assert grant["permission"] == "content.publish"
    assert grant["expires_at"]


def test_nothing_counts_for_who_is_not_active(stage):
    subject = stage.member("suspended", "admin")
    stage.grant(subject, seconds=60)

    answer = listed(stage, subject).json()

    assert (answer["permissions"], answer["grants"]) == ([], [])


def test_a_member_lists_its_own_permissions_alone(stage):
    me, other = stage.member(), stage.member()
    session = {"X-Session-Token": me}

    assert listed(stage, me, session).json()["subject"] == me
    assert listed(stage, other, session).status == 403
    assert listed(stage, str(uuid4())).status == 404
    assert listed(stage, "somebody").status == 422


# Bad input


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"permission": "a.b"}, "subject_required"),
        ({"subject": "x", "permission": "a.b"}, "subject_malformed"),
        ({"subject": {"namespace": "Platform"}, "permission": "a.b"}, "subject_malformed"),
        ({"subject": GUEST}, "question_malformed"),
        ({"subject": GUEST, "permission": "a.b", "action": "view"}, "question_malformed"),
        ({"subject": GUEST, "permission": "a b"}, "permission_malformed"),
        ({"subject": GUEST, "permission": "a" * 65_536}, "permission_malformed"),
        ({"subject": GUEST, "action": "view", "resource": "Content:'; --"}, "resource_malformed"),
        ({"subject": GUEST, "action": "view", "resource": "Content:é"}, "resource_malformed"),
        ({"subject": GUEST, "action": "view", "resource": "Content"}, "resource_malformed"),
        ({"subject": GUEST, "action": "view", "resource": "Nothing:a"}, "namespace_unknown"),
        ({"subject": GUEST, "action": "owners", "resource": "Content:a"}, "action_unknown"),
        ({"subject": GUEST, "action": "readers", "resource": "Content:a"}, "action_unknown"),
        ({"subject": GUEST, "permission": "a.b", "more": 1}, "member_unknown"),
        ({"subject": GUEST, "permission": "a.b", "fresh": 1}, "fresh_malformed"),
        ({"subject": GUEST, "permission": "a.b", "at_least": "1"}, "epoch_malformed"),
        ([], "question_malformed"),
    ],
)
def test_a_question_that_is_none_is_refused(stage, document, code):
    answered = stage.send("/api/permissions/check", document)

    assert answered.status == 422
    assert answered.json()["type"] == f"urn:kleis:problem:{code}"
    assert not stage.keto.asked


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_not_json_is_refused(stage, body):
    for path in ("/api/permissions/check", "/relation-tuples/check/openapi"):
        answered = stage.send(path, body)
        assert answered.status == 400
        assert answered.json()["type"] == "urn:kleis:problem:malformed_body"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"object": "x" * 65_536}, "object_malformed"),
        ({"object": "ü"}, "object_malformed"),
        ({"object": 1}, "object_malformed"),
        ({"relation": "x" * 65}, "relation_malformed"),
        ({"subject_id": "a\x00"}, "subject_id_malformed"),
        ({"subject_set": {"namespace": "Platform"}}, "subject_ambiguous"),
        ({"Subject_Id": "x"}, "member_unknown"),
        ({"snaptoken": "x"}, "member_unknown"),
    ],
)
def test_ory_s_check_is_refused_where_it_could_be_read_in_two_ways(stage, change, code):
    answered = ory(stage, str(uuid4()), **change)

    assert answered.status == 400
    assert answered.json()["type"] == f"urn:kleis:problem:{code}"
    assert answered.json()["error"]["code"] == 400
    assert not stage.keto.asked


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("max-depth=0", "max_depth_malformed"),
        ("max-depth=-1", "max_depth_malformed"),
        ("max-depth=x", "max_depth_malformed"),
        ("subject_id=a&subject_id=b", "ambiguous_query"),
        ("subject_id=a;subject_id=b", "ambiguous_query"),
        ("subject_id=a&subject_set.namespace=b", "subject_ambiguous"),
        ("other=1", "member_unknown"),
    ],
)
def test_a_query_is_refused_where_it_could_be_read_in_two_ways(stage, query, code):
    target = f"/relation-tuples/check/openapi?namespace=Content&object=a&relation=view&{query}"
    answered = ask(stage.port, "GET", target, headers=stage.key)

    assert answered.status == 400
    assert answered.json()["type"] == f"urn:kleis:problem:{code}"


# The log


def test_every_denial_is_logged_with_its_epoch_and_its_latency(stage):
    subject = stage.member()
    stage.keto.allowed.add((subject, "b"))
    stage.check(subject)
    stage.check(subject, "Content:b")

    def rows() -> list:
        return stage.execute(
            "select subject, namespace, object, relation, allowed, reason, epoch, milliseconds,"
            " asked_by from permission_decisions where subject = :subject",
            subject=subject,
        )

    until(rows)
    (row,) = (each for each in rows() if not each.allowed)
    assert tuple(row)[:7] == (subject, "Content", "a", "view", False, "denied", "0.0")
    assert row.milliseconds > 0
    assert row.asked_by.startswith("key:")


def test_what_was_allowed_is_logged_as_often_as_the_site_says(services):
    with stage_with(services, decision_log_sample="1") as stage:
        subject = stage.member()
        stage.keto.allowed.add((subject, "a"))
        for _ in range(5):
            stage.check(subject)
        count = "select count(*) from permission_decisions where allowed"
        until(lambda: stage.execute(count)[0][0] == 5)


def test_without_valkey_changes_are_still_heard(services):
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    with stage_with(services, valkey_url=nowhere) as stage:
        subject = stage.member()
        stage.keto.allowed.add((subject, "a"))
        heard(stage, subject)
        assert stage.check(subject)["allowed"] is True
        stage.keto.allowed.clear()
        stage.move(subject)
        until(lambda: stage.check(subject)["allowed"] is False, seconds=1)
