"""Tuples written through the real edge into real Keto: what is refused, and what is written once.

Roles go through the real hooks listener; what they bring about in Keto is delivered at once.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from integration.db import epochs, locks
from integration.keto_model import read_model
from integration.tasks import sweeps
from policies.authority import GUEST_SUBJECT, Role
from policies.parent_edges import MAX_CHAIN
from policies.tuple_writes import MAX_OPERATIONS
from tests.tuple_stage import (
    PATH,
    Stage,
    another_edge,
    channel_owner,
    code_of,
    edge_of,
    listed,
    role_of,
    stage_running,
    within,
)


@pytest.fixture(scope="module")
def stage(keto, database_url, valkey_url) -> Iterator[Stage]:
    with stage_running(keto, database_url, valkey_url) as running:
        yield running


# As Keto answers


def test_a_put_answers_as_keto_does_whether_it_was_there_or_not(stage):
    item, other = channel_owner(), channel_owner()
    straight = stage.keto.write.put(PATH, json=item)

    first, again = stage.put(item | {"object": other["object"]}), stage.put(item)

    for answer in (first, again):
        assert answer.status_code == straight.status_code == 201
        assert answer.headers["content-type"] == straight.headers["content-type"]
    assert again.headers["location"] == straight.headers["location"]
    assert again.json() == straight.json() == item
    assert len(listed(stage, item)) == 1


def test_the_answer_to_what_is_there_is_ketos_for_a_subject_set_too(stage):
    item = edge_of("Permission", "*", "covered", "Permission", f"x~{uuid4().hex}.*")
    straight = stage.keto.write.put(PATH, json=item)

    again = stage.put(item)

    assert (again.status_code, again.headers["location"], again.json()) == (
        straight.status_code,
        straight.headers["location"],
        straight.json(),
    )
    stage.keto.delete(item)


def test_a_patch_writes_what_is_missing_and_deletes(stage):
    there, missing, gone = channel_owner(), channel_owner(), channel_owner()
    stage.keto.insert(there, gone)

    answer = stage.patch(
        ("insert", there), ("insert", missing), ("insert", missing), ("delete", gone)
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert [len(listed(stage, each)) for each in (there, missing, gone)] == [1, 1, 0]


def test_a_patch_of_many_objects_is_written_once_however_often_it_comes(stage):
    names = [uuid4().hex for _ in range(40)]
    items = [channel_owner(name) for name in names for _ in range(3)]
    for _ in range(2):
        assert stage.patch(*(("insert", each) for each in items)).status_code == 204

    assert sum(len(listed(stage, {"namespace": "Channel", "object": n})) for n in names) == 120


def profiles(count: int) -> list[dict[str, Any]]:
    return [channel_owner() | {"namespace": "Profile"} for _ in range(count)]


def empty_profiles(stage: Stage) -> None:
    """From here on the ledger knows every object of the namespace."""
    assert stage.delete({"X-Kleis-Confirm": "Profile"}, namespace="Profile").status_code == 204


def test_a_load_into_a_namespace_that_was_empty_is_written_once_without_asking(stage):
    empty_profiles(stage)
    items = profiles(30)
    some_more = [each | {"subject_id": str(uuid4())} for each in items[:10]]
    for load in (items, items, [*items, *some_more], some_more):
        assert stage.patch(*(("insert", each) for each in load)).status_code == 204

    assert len(stage.keto.listed(namespace="Profile")) == 40


def test_a_load_after_single_writes_knows_of_them(stage):
    empty_profiles(stage)
    items = profiles(10)
    for each in items[:3]:
        stage.put(each)

    assert stage.patch(*(("insert", each) for each in items)).status_code == 204
    assert len(stage.keto.listed(namespace="Profile")) == 10


def test_a_load_asks_where_there_was_something_before_the_ledger(stage):
    items = [channel_owner() for _ in range(10)]
    stage.keto.insert(*items)
    with stage.services.transaction() as session:
        session.execute(text("truncate tuple_objects, tuple_namespaces"))

    assert stage.patch(*(("insert", each) for each in items)).status_code == 204
    assert all(len(listed(stage, each)) == 1 for each in items)


def test_what_a_load_writes_again_after_somebody_wrote_past_the_edge_goes_as_one(stage):
    """The price of not asking; a single write always asks."""
    empty_profiles(stage)
    items = profiles(10)
    stage.keto.insert(*items)
    assert stage.patch(*(("insert", each) for each in items[1:])).status_code == 204
    assert stage.put(items[0]).status_code == 201
    assert len(stage.keto.listed(namespace="Profile")) == 19

    assert stage.patch(*(("delete", each) for each in items)).status_code == 204
    assert stage.keto.listed(namespace="Profile") == []


def test_somebody_more_in_an_object_that_many_stand_in_is_written_once(stage):
    name = uuid4().hex
    stage.keto.insert(*(channel_owner(name) for _ in range(501)))
    two = [channel_owner(name), channel_owner(name)]
    for _ in range(2):
        assert stage.patch(*(("insert", each) for each in two)).status_code == 204

    assert len(listed(stage, two[0])) == 503


def test_an_empty_patch_is_answered_as_keto_does(stage):
    assert stage.patch().status_code == stage.keto.write.patch(PATH, json=[]).status_code == 204


def test_a_delete_takes_one_or_what_matches(stage):
    name = uuid4().hex
    items = [channel_owner(name) for _ in range(3)]
    edges = [within(name, uuid4().hex), within(name, uuid4().hex)]
    stage.keto.insert(*items, *edges)

    assert stage.delete(**items[0]).status_code == 204
    assert len(listed(stage, items[0])) == 4
    inner = {f"subject_set_{key}": value for key, value in edges[0]["subject_set"].items()}
    assert stage.delete(namespace="Channel", object=name, **inner).status_code == 204
    assert len(listed(stage, items[0])) == 3
    assert stage.delete(namespace="Channel", object=name).status_code == 204
    assert listed(stage, items[0]) == []
    assert stage.delete(namespace="Channel", object=name).status_code == 204


def test_what_was_written_past_the_edge_on_a_permits_name_can_be_deleted(stage):
    stray = channel_owner() | {"relation": "manage", "subject_id": "nobody in particular"}
    stage.keto.insert(stray)

    assert stage.patch(("delete", stray)).status_code == 204
    assert listed(stage, stray) == []


# Refused, and nothing written

NAME, SOMEBODY = "tuple-writes", "6f1ed002-ab55-41c9-8d3e-ffb0c1d2e3f4"
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown namespace": ("namespace_unknown", {"namespace": "Nothing"}),
    "namespace in another case": ("namespace_unknown", {"namespace": "channel"}),
    "no namespace": ("namespace_unknown", {"namespace": ""}),
    "unknown relation": ("relation_unknown", {"relation": "fans"}),
    "no relation": ("relation_unknown", {"relation": ""}),
    "65 characters": ("relation_unknown", {"relation": "r" * 65}),
    "a class without relations": ("relation_unknown", {"namespace": "User"}),
    "a permit": ("permit_not_writable", {"relation": "manage"}),
    "a permit of the platform": (
        "permit_not_writable",
        {"namespace": "Platform", "object": "main", "relation": "administer"},
    ),
    "no object": ("object_malformed", {"object": ""}),
    "129 characters": ("object_malformed", {"object": "o" * 129}),
    "64 KB": ("name_malformed", {"object": "o" * 65_536}),
    "SQL": ("object_malformed", {"object": "x'; drop table keto_relation_tuples; --"}),
    "Unicode": ("object_malformed", {"object": "kanal-é"}),
    "look-alike": ("object_malformed", {"object": "\u0441hannel"}),
    "half a character": ("name_malformed", {"object": "x\ud800"}),
    "a blank": ("object_malformed", {"object": "a b"}),
    "a slash": ("object_malformed", {"object": "../a"}),
    "a new line": ("name_malformed", {"object": "a\n"}),
    "a zero byte": ("name_malformed", {"object": "a\x00"}),
    "subject in capitals": ("subject_malformed", {"subject_id": SOMEBODY.upper()}),
    "subject without dashes": ("subject_malformed", {"subject_id": UUID(SOMEBODY).hex}),
    "a name as subject": ("subject_malformed", {"subject_id": "ada"}),
    "an empty subject": ("subject_malformed", {"subject_id": ""}),
    "a set written as a subject": ("subject_malformed", {"subject_id": "Platform:main#active"}),
    "no subject": ("subject_missing", {"subject_id": None}),
    "two subjects": (
        "subject_ambiguous",
        {"subject_set": {"namespace": "Channel", "object": "a", "relation": ""}},
    ),
    "an unknown field": ("field_unknown", {"expires_at": "2030-01-01"}),
    "a field in capitals": ("field_unknown", {"Subject_ID": SOMEBODY}),
    "a number": ("tuple_malformed", {"object": 7}),
    "a list": ("tuple_malformed", {"object": ["a"]}),
}
SET = {"namespace": "Platform", "object": "main", "relation": "active"}
REFUSED_SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "a set where plain subjects belong": (
        "subject_type_refused",
        edge_of("Channel", NAME, "owners", "Platform", "main", of="active"),
    ),
    "a set that is not named": (
        "subject_type_refused",
        edge_of("Permission", NAME, "granted", "Platform", "main", of="active"),
    ),
    "a set of a permit": (
        "subject_type_refused",
        edge_of("Permission", NAME, "granted", "Platform", "main", of="enter"),
    ),
    "a set of itself": (
        "subject_type_refused",
        edge_of("Content", NAME, "audience", "Content", NAME, of="audience"),
    ),
    "an object where a set belongs": (
        "subject_type_refused",
        edge_of("Content", NAME, "audience", "Platform", "main"),
    ),
    "an edge with a relation": (
        "edge_relation_refused",
        edge_of("Content", NAME, "platform", "Platform", "main", of="admins"),
    ),
    "an edge with three dots": (
        "edge_relation_refused",
        edge_of("Content", NAME, "channels", "Channel", "a", of="..."),
    ),
    "an edge to another class": (
        "subject_type_refused",
        edge_of("Content", NAME, "channels", "Content", "a"),
    ),
    "an edge as a plain subject": (
        "subject_type_refused",
        channel_owner(NAME) | {"relation": "within"},
    ),
    "an edge to no object": (
        "object_malformed",
        edge_of("Content", NAME, "channels", "Channel", ""),
    ),
    "another platform": ("platform_is_one", edge_of("Content", NAME, "platform", "Platform", NAME)),
    "a gate of one's own": (
        "platform_is_one",
        {"namespace": "Platform", "object": NAME, "relation": "active", "subject_id": SOMEBODY},
    ),
    "an audience of another platform": (
        "platform_is_one",
        edge_of("Content", NAME, "audience", "Platform", NAME, of="guests"),
    ),
    "an unknown field in a set": (
        "field_unknown",
        {**channel_owner(NAME), "subject_id": None, "subject_set": {**SET, "x": "y"}},
    ),
    "a set that is text": (
        "tuple_malformed",
        {**channel_owner(NAME), "subject_id": None, "subject_set": "Platform:main#active"},
    ),
    "a circle of one": ("circle_refused", within(NAME, NAME)),
}
EVERY = {name: (code, channel_owner(NAME, SOMEBODY) | change) for name, (code, change) in
         REFUSED.items()} | REFUSED_SETS  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_the_model_has_no_place_for_is_refused_and_nothing_is_written(stage, name, method):
    code, item = EVERY[name]
    good = channel_owner()
    operations = [
        {"action": "insert", "relation_tuple": good},
        {"action": "insert", "relation_tuple": item},
    ]
    before = len(stage.audit())

    body = json.dumps(item if method == "PUT" else operations)
    answer = stage.edge.request(method, PATH, content=body)

    assert code_of(answer) == code
    assert answer.status_code == {"namespace_unknown": 404, "circle_refused": 409}.get(code, 400)
    if method == "PATCH" and code != "circle_refused":
        assert answer.json()["detail"].startswith("Operation 1: ")
    assert listed(stage, good) == []
    assert stage.keto.listed(namespace="Channel", object=NAME) == []
    assert len(stage.audit()) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_body"),
        (b"{", "malformed_body"),
        (b"[1, NaN]", "malformed_body"),
        (b"\xff", "malformed_body"),
        (b"[" * 100_000, "malformed_body"),
        (b'{"namespace": "Channel", "namespace": "Platform"}', "ambiguous_body"),
        (b'[{"action": "insert", "action": "delete"}]', "ambiguous_body"),
        (b'"text"', "patch_malformed"),
        (b"{}", "patch_malformed"),
        (b"[1]", "patch_malformed"),
        (b"[{}]", "patch_malformed"),
        (b'[{"action": "upsert", "relation_tuple": {}}]', "patch_malformed"),
        (b'[{"action": "insert"}]', "patch_malformed"),
        (b'[{"action": "insert", "relation_tuple": {}, "more": 1}]', "patch_malformed"),
        (b'[{"action": ["insert"], "relation_tuple": {}}]', "patch_malformed"),
        (b'[{"action": "insert", "relation_tuple": []}]', "tuple_malformed"),
    ],
)
def test_a_body_that_is_no_patch_is_refused(stage, body, code):
    answer = stage.edge.patch(PATH, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, code_of(answer)) == (400, code)


def test_a_tuple_cannot_be_inserted_and_deleted_in_one_call(stage):
    """In Keto the delete wins, in whatever order they come."""
    item = channel_owner()
    for order in (("insert", "delete"), ("delete", "insert")):
        answer = stage.patch(*((action, item) for action in order))
        assert (answer.status_code, code_of(answer)) == (400, "patch_contradictory")


def test_a_patch_has_a_bound_and_is_not_cut_in_pieces(stage):
    name = uuid4().hex
    operations = [("insert", channel_owner(name)) for _ in range(MAX_OPERATIONS + 1)]

    answer = stage.patch(*operations)

    assert (answer.status_code, code_of(answer)) == (413, "patch_too_large")
    assert stage.keto.listed(namespace="Channel", object=name) == []


# Circles and chains


def test_a_circle_cannot_be_closed_in_one_call_or_in_several(stage):
    ring = [uuid4().hex for _ in range(4)]
    edges = [within(ring[at], ring[(at + 1) % 4]) for at in range(4)]

    at_once = stage.patch(*(("insert", each) for each in edges))
    assert (at_once.status_code, code_of(at_once)) == (409, "circle_refused")
    assert all(listed(stage, each) == [] for each in edges)

    for each in edges[:3]:
        assert stage.put(each).status_code == 201
    last = stage.put(edges[3])
    assert (last.status_code, code_of(last)) == (409, "circle_refused")
    assert listed(stage, edges[3]) == []


def test_an_edge_may_turn_round_in_one_call(stage):
    one, other = uuid4().hex, uuid4().hex
    stage.put(within(one, other))

    answer = stage.patch(("delete", within(one, other)), ("insert", within(other, one)))

    assert answer.status_code == 204
    assert listed(stage, within(one, other)) == []
    assert len(listed(stage, within(other, one))) == 1


@pytest.mark.parametrize("length", [MAX_CHAIN + 1, 50])
def test_a_chain_that_keto_would_not_follow_is_refused(stage, length):
    names = [uuid4().hex for _ in range(length + 1)]
    edges = [within(names[at], names[at + 1]) for at in range(length)]

    answer = stage.patch(*(("insert", each) for each in edges))

    assert (answer.status_code, code_of(answer)) == (409, "chain_too_long")
    assert listed(stage, edges[0]) == []


@pytest.mark.parametrize("last", range(MAX_CHAIN + 1))
def test_a_chain_grows_at_any_place_up_to_its_bound(stage, last):
    """Whichever of its edges comes last, what is above and below it counts."""
    names = [uuid4().hex for _ in range(MAX_CHAIN + 2)]
    edges = [within(names[at], names[at + 1]) for at in range(MAX_CHAIN + 1)]
    for at, each in enumerate(edges):
        if at != last:
            assert stage.put(each).status_code == 201

    answer = stage.put(edges[last])

    assert (answer.status_code, code_of(answer)) == (409, "chain_too_long")


def test_a_circle_of_50_written_past_the_edge_is_not_made_worse(stage):
    ring = [uuid4().hex for _ in range(50)]
    stage.keto.insert(*(within(ring[at], ring[at - 1]) for at in range(50)))

    answer = stage.put(within(uuid4().hex, ring[0]))

    assert answer.status_code == 409
    assert stage.delete(**_flat(within(ring[1], ring[0]))).status_code == 204


def test_a_wide_tree_can_still_be_hung_up(stage):
    root, top = uuid4().hex, uuid4().hex
    stage.keto.insert(*(within(uuid4().hex, root) for _ in range(520)))

    assert stage.put(within(root, top)).status_code == 201


def _flat(item: dict[str, Any]) -> dict[str, str]:
    inner = {f"subject_set.{key}": value for key, value in item["subject_set"].items()}
    return {key: value for key, value in item.items() if key != "subject_set"} | inner


# Deleting


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("", "namespace_missing", 400),
        ("object=a", "namespace_missing", 400),
        ("namespace=Nothing", "namespace_unknown", 404),
        ("namespace=Profile&foo=1", "field_unknown", 400),
        ("namespace=Profile&page_size=1", "field_unknown", 400),
        ("namespace=Profile&namespace=Channel&object=a", "ambiguous_query", 400),
        ("namespace=Profile;object=a", "ambiguous_query", 400),
        ("namespace=Profile&object=%zz", "ambiguous_query", 400),
        ("namespace=Profile&object=a%00", "name_malformed", 400),
        ("namespace=Profile&subject_set.namespace=Platform", "subject_missing", 400),
        (
            f"namespace=Profile&subject_id={SOMEBODY}&subject_set.namespace=Platform",
            "subject_ambiguous",
            400,
        ),
        ("namespace=Profile", "confirmation_required", 428),
    ],
)
def test_a_delete_that_is_not_understood_deletes_nothing(stage, query, code, status):
    item = channel_owner() | {"namespace": "Profile"}
    stage.keto.insert(item)

    answer = stage.edge.delete(f"{PATH}?{query}")

    assert (answer.status_code, code_of(answer)) == (status, code)
    assert len(listed(stage, item)) == 1


def test_a_delete_with_a_body_is_refused(stage):
    answer = stage.edge.request("DELETE", f"{PATH}?namespace=Profile&object=a", content=b"x")

    assert (answer.status_code, code_of(answer)) == (400, "body_unwanted")


def test_a_whole_namespace_goes_only_with_its_name_said_twice(stage):
    item = channel_owner() | {"namespace": "Profile"}
    stage.keto.insert(item)
    before = stage.epoch(UUID(item["subject_id"]))

    for said in ("yes", "Channel", "profile"):
        refused = stage.delete({"X-Kleis-Confirm": said}, namespace="Profile")
        assert (refused.status_code, code_of(refused)) == (428, "confirmation_required")
    assert len(listed(stage, item)) == 1

    assert stage.delete({"X-Kleis-Confirm": "Profile"}, namespace="Profile").status_code == 204
    assert stage.keto.listed(namespace="Profile") == []
    assert stage.epoch(UUID(item["subject_id"])) == before + 2


# Roles and the gate


def test_a_role_tuple_makes_the_member_what_it_says(stage):
    somebody = stage.new_member()
    item = role_of(somebody, "moderators")

    answer = stage.put(item)

    assert (answer.status_code, answer.json()) == (201, item)
    assert answer.headers["location"].startswith("/relation-tuples?namespace=Platform&object=main")
    assert stage.role_of(somebody) == "moderator"
    assert stage.relations_of(somebody) == {"active", "moderators"}
    assert stage.keto.allowed(role_of(somebody, "moderate"))
    row = stage.audit()[-1]
    assert (row["action"], row["status"]) == ("roles", 204)
    assert row["tuples"]["insert"] == [f"Platform:main#moderators@{somebody}"]


def test_the_last_admin_is_not_taken_by_a_tuple_either(stage):
    last = stage.new_member(Role.ADMIN)

    answer = stage.delete(**role_of(last, "admins"))

    assert (answer.status_code, code_of(answer)) == (409, "role_refused")
    assert stage.role_of(last) == "admin"


def test_a_change_of_role_is_in_the_log_of_authority(stage):
    somebody, request_id = stage.new_member(), uuid4().hex
    for _ in range(2):
        stage.put(role_of(somebody, "creators"), headers={"X-Request-Id": request_id})

    with stage.services.transaction() as session:
        statement = text("select * from authority_audit where subject_id = :id")
        (row,) = session.execute(statement, {"id": somebody}).mappings()
    key_id = stage.edge.headers["authorization"].split("_")[1]
    assert (row["actor"], row["request_id"]) == (f"key:{key_id}", request_id)
    assert (row["action"], row["before"], row["after"]) == (
        "role.changed",
        {"role": "user"},
        {"role": "creator"},
    )


def test_a_role_tuple_that_is_taken_leaves_a_plain_user(stage):
    somebody, _another = stage.new_member(Role.ADMIN), stage.new_member(Role.ADMIN)

    assert stage.delete(**role_of(somebody, "admins")).status_code == 204

    assert stage.role_of(somebody) == "user"
    assert stage.relations_of(somebody) == {"active", "users"}


def test_a_role_that_is_not_there_is_deleted_without_harm(stage):
    somebody = stage.new_member(Role.CREATOR)

    assert stage.delete(**role_of(somebody, "admins")).status_code == 204
    assert stage.role_of(somebody) == "creator"


def test_the_last_role_stays(stage):
    somebody = stage.new_member()

    answer = stage.delete(**role_of(somebody, "users"))

    assert (answer.status_code, code_of(answer)) == (409, "role_refused")
    assert stage.relations_of(somebody) == {"active", "users"}


def test_a_patch_moves_somebody_from_one_role_to_another(stage):
    one, other = stage.new_member(), stage.new_member(Role.MODERATOR)

    answer = stage.patch(
        ("delete", role_of(one, "users")),
        ("insert", role_of(one, "creators")),
        ("delete", role_of(other, "moderators")),
    )

    assert answer.status_code == 204
    assert (stage.role_of(one), stage.role_of(other)) == ("creator", "user")


def test_roles_of_several_members_change_together_or_not_at_all(stage):
    somebody = stage.new_member()

    answer = stage.patch(
        ("insert", role_of(somebody, "admins")), ("insert", role_of(str(uuid4()), "admins"))
    )

    assert (answer.status_code, code_of(answer)) == (404, "member_unknown")
    assert stage.role_of(somebody) == "user"


def test_a_deleted_member_gets_no_role(stage):
    somebody = stage.new_member()
    with stage.services.transaction() as session:
        session.execute(
            text("update members set status = 'deleted' where identity_id = :id"), {"id": somebody}
        )

    answer = stage.put(role_of(somebody, "admins"))

    assert (answer.status_code, code_of(answer)) == (409, "role_refused")


@pytest.mark.parametrize("relation", ["active", "admins", "moderators", "users", "guests"])
@pytest.mark.parametrize("how", ["PUT", "PATCH", "PATCH delete", "DELETE", "DELETE all"])
def test_a_key_without_the_scope_for_roles_touches_none(stage, relation, how):
    somebody = stage.new_member()
    item = role_of(somebody, relation)
    have = stage.relations_of(somebody)
    operation = {"action": "delete" if "delete" in how else "insert", "relation_tuple": item}
    calls = {
        "PUT": lambda edge: edge.put(PATH, json=item),
        "PATCH": lambda edge: edge.patch(PATH, json=[operation]),
        "PATCH delete": lambda edge: edge.patch(PATH, json=[operation]),
        "DELETE": lambda edge: edge.delete(PATH, params=item),
        "DELETE all": lambda edge: edge.delete(
            PATH, params={"namespace": "Platform"}, headers={"X-Kleis-Confirm": "Platform"}
        ),
    }

    answer = calls[how](stage.without_roles)

    assert (answer.status_code, code_of(answer)) == (403, "scope_missing")
    assert stage.relations_of(somebody) == have


@pytest.mark.parametrize("how", ["PUT", "PATCH", "DELETE", "DELETE all"])
@pytest.mark.parametrize("name", ["*", "content.*", "roles.write"])
def test_a_key_without_the_scope_for_roles_gives_nobody_a_wide_permission(stage, name, how):
    somebody = str(uuid4())
    item = {
        "namespace": "Permission",
        "object": name,
        "relation": "granted",
        "subject_id": somebody,
    }
    is_there = how.startswith("DELETE")
    if is_there:
        assert stage.put(item).status_code == 201
    calls = {
        "PUT": lambda edge: edge.put(PATH, json=item),
        "PATCH": lambda edge: edge.patch(PATH, json=[{"action": "insert", "relation_tuple": item}]),
        "DELETE": lambda edge: edge.delete(PATH, params=item),
        "DELETE all": lambda edge: edge.delete(
            PATH, params={"namespace": "Permission", "subject_id": somebody}
        ),
    }

    answer = calls[how](stage.without_roles)

    assert (answer.status_code, code_of(answer)) == (403, "scope_missing")
    assert len(stage.keto.listed(namespace="Permission", subject_id=somebody)) == int(is_there)


@pytest.mark.parametrize("how", ["PUT", "PATCH", "DELETE"])
def test_nobody_writes_the_gate_and_the_refusal_names_the_way(stage, how):
    somebody = stage.new_member()
    item = role_of(somebody, "active")
    calls = {
        "PUT": lambda: stage.put(item),
        "PATCH": lambda: stage.patch(("delete", item)),
        "DELETE": lambda: stage.delete(**item),
    }

    answer = calls[how]()

    assert (answer.status_code, code_of(answer)) == (409, "gate_follows_status")
    assert "/admin/identities" in answer.json()["detail"]
    assert stage.relations_of(somebody) == {"active", "users"}


@pytest.mark.parametrize(
    "query",
    [
        {"namespace": "Platform"},
        {"namespace": "Platform", "object": "main"},
        {"namespace": "Platform", "relation": "admins"},
        {"namespace": "Platform", "object": "main", "relation": "admins"},
        {"namespace": "Platform", "subject_id": SOMEBODY},
    ],
)
def test_roles_do_not_end_by_a_pattern(stage, query):
    answer = stage.delete({"X-Kleis-Confirm": "Platform"}, **query)

    assert (answer.status_code, code_of(answer)) == (400, "authority_by_pattern")


def test_roles_and_other_tuples_do_not_share_a_call(stage):
    somebody, item = stage.new_member(), channel_owner()

    answer = stage.patch(("insert", role_of(somebody, "admins")), ("insert", item))

    assert (answer.status_code, code_of(answer)) == (400, "roles_apart")
    assert stage.role_of(somebody) == "user"
    assert listed(stage, item) == []


def test_two_roles_at_once_are_refused(stage):
    somebody = stage.new_member()

    answer = stage.patch(
        ("insert", role_of(somebody, "admins")), ("insert", role_of(somebody, "creators"))
    )

    assert (answer.status_code, code_of(answer)) == (400, "role_ambiguous")


def test_the_guest_is_one_fixed_subject(stage):
    refused = stage.put(role_of(stage.new_member(), "guests"))
    assert (refused.status_code, code_of(refused)) == (400, "guest_is_one")

    for _ in range(2):
        assert stage.put(role_of(GUEST_SUBJECT, "guests")).status_code == 201
    assert len(stage.keto.listed(namespace="Platform", relation="guests")) == 1
    assert stage.delete(**role_of(GUEST_SUBJECT, "guests")).status_code == 204
    assert stage.keto.listed(namespace="Platform", relation="guests") == []


def test_what_was_written_past_the_edge_to_another_platform_can_be_deleted(stage):
    stray = role_of(SOMEBODY, "active") | {"object": NAME}
    stage.keto.insert(stray)

    assert stage.delete(**stray).status_code == 204
    assert listed(stage, stray) == []


# Versioned and written down


def test_an_answer_says_from_which_epoch_on_it_holds(stage):
    item = channel_owner()
    subject = UUID(item["subject_id"])

    first = stage.put(item)
    again = stage.put(item)
    gone = stage.delete(**item)

    assert first.headers["x-kleis-epoch"] == f"{subject}=2"
    assert again.headers["x-kleis-epoch"] == f"{subject}=2"
    assert gone.headers["x-kleis-epoch"] == f"{subject}=4"
    assert stage.epoch(subject) == 4


def test_an_edge_moves_the_epoch_of_everything_between_objects(stage):
    before = stage.epoch(epochs.EDGES)

    answer = stage.put(within(uuid4().hex, uuid4().hex))

    assert answer.headers["x-kleis-epoch"] == f"edges={before + 2}"
    assert stage.epoch(epochs.EDGES) == before + 2


def test_many_subjects_move_and_are_not_all_told(stage):
    items = [channel_owner() for _ in range(30)]

    answer = stage.patch(*(("insert", each) for each in items))

    assert "x-kleis-epoch" not in answer.headers
    assert {stage.epoch(UUID(each["subject_id"])) for each in items} == {2}


def test_a_refused_write_moves_nothing(stage):
    item = channel_owner() | {"relation": "fans"}
    stage.put(item)

    assert stage.epoch(UUID(item["subject_id"])) == 0


def test_every_write_is_written_down(stage):
    item, gone = channel_owner(), channel_owner()
    request_id = uuid4().hex

    stage.patch(("insert", item), ("delete", gone), headers={"X-Request-Id": request_id})

    row = stage.audit()[-1]
    assert (row["action"], row["status"], row["request_id"]) == ("patch", 204, request_id)
    key_id = stage.edge.headers["authorization"].split("_")[1]
    assert row["api_key_id"] == key_id
    assert row["tuples"] == {
        "insert": [f"Channel:{item['object']}#owners@{item['subject_id']}"],
        "delete": [f"Channel:{gone['object']}#owners@{gone['subject_id']}"],
    }
    assert row["ended_at"] >= row["at"]


def test_a_pattern_is_written_down_with_how_many_it_took(stage):
    name = uuid4().hex
    stage.keto.insert(channel_owner(name), channel_owner(name))

    stage.delete(namespace="Channel", object=name)

    wanted = {"matching": {"namespace": "Channel", "object": name}, "count": 2}
    assert stage.audit()[-1]["tuples"] == wanted


def test_a_write_whose_edge_died_is_ended_by_the_sweep(stage):
    """Keto may have written: whoever remembers something about the subject asks again."""
    subject, call_id = uuid4(), uuid4()
    with stage.services.transaction() as session:
        session.execute(
            text(
                "insert into tuple_writes"
                " (id, at, api_key_id, request_id, action, tuples, subjects)"
                " values (:id, now() - interval '5 minutes', '', '', 'put', '{}', :subjects)"
            ),
            {"id": call_id, "subjects": [subject, epochs.EDGES]},
        )
    before = stage.epoch(epochs.EDGES)

    assert sweeps.end_abandoned_tuple_writes(stage.services) == 1
    assert sweeps.end_abandoned_tuple_writes(stage.services) == 0

    assert stage.epoch(subject) == 1
    assert stage.epoch(epochs.EDGES) == before + 1


# One writer


def test_writers_at_once_neither_deadlock_nor_write_twice(stage):
    """Keto v0.13 alone answers 500 to some of these, and stores a tuple as often as it comes."""
    name = uuid4().hex
    items = [channel_owner(name) for _ in range(25)]
    body = [{"action": "insert", "relation_tuple": each} for each in items]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stage.edge.patch(PATH, json=body), range(16)))

    assert {answer.status_code for answer in answers} == {204}
    assert len(listed(stage, items[0])) == len(items)


def test_the_edge_waits_for_a_writer_elsewhere_but_not_for_ever(stage):
    item = channel_owner()
    with (
        another_edge(stage, database_timeout=timedelta(seconds=1)) as edge,
        locks.tuple_lock(stage.services.engine, timeout=timedelta(seconds=5)),
    ):
        refused = edge.put(PATH, json=item)
        assert (refused.status_code, code_of(refused)) == (503, "busy")
        assert refused.headers["retry-after"] == "1"
        assert listed(stage, item) == []

    assert stage.put(item).status_code == 201


def test_our_own_writes_take_their_turn_too(stage):
    somebody = stage.new_member()
    with ThreadPoolExecutor(1) as pool:
        with locks.tuple_lock(stage.services.engine, timeout=timedelta(seconds=5)):
            waiting = pool.submit(stage.put, role_of(somebody, "creators"))
            while stage.role_of(somebody) != "creator":
                time.sleep(0.02)
            assert stage.relations_of(somebody) == {"active", "users"}
        assert waiting.result(60).status_code == 201

    assert stage.relations_of(somebody) == {"active", "creators"}


# Asking: what Keto leaves open


@pytest.mark.parametrize("depth", ["0", "-1", "x", "", "1.5", "٣", "99999999999"])
@pytest.mark.parametrize("path", ["check/openapi", "check", "expand"])
def test_a_depth_that_is_none_is_refused(stage, depth, path):
    item = channel_owner()
    answer = stage.edge.get(f"/relation-tuples/{path}", params={**item, "max-depth": depth})

    assert (answer.status_code, code_of(answer)) == (400, "max_depth_malformed")


def test_a_depth_is_said_once(stage):
    item = channel_owner()
    query = {**item, "max-depth": ["3", "4"]}
    answer = stage.edge.get("/relation-tuples/check/openapi", params=query)

    assert (answer.status_code, code_of(answer)) == (400, "ambiguous_query")


@pytest.mark.parametrize("query", ["", "page_size=10", "object=a", "relation=owners"])
def test_everything_at_once_is_not_listed(stage, query):
    answer = stage.edge.get(f"/relation-tuples?{query}")

    assert (answer.status_code, code_of(answer)) == (400, "filter_required")


@pytest.mark.parametrize(
    "path",
    [
        "/ory.keto.relation_tuples.v1alpha2.WriteService/DeleteRelationTuples",
        "/ory.keto.relation_tuples.v1alpha2.WriteService/TransactRelationTuples",
    ],
)
def test_the_other_protocol_of_keto_is_not_reached(stage, path):
    """Its delete with an empty query deletes everything."""
    item = channel_owner()
    stage.keto.insert(item)

    answer = stage.edge.post(
        path, content=b"\x00" * 5, headers={"content-type": "application/grpc", "te": "trailers"}
    )

    assert answer.status_code == 503, "it went to the service, which is away here"
    assert len(listed(stage, item)) == 1


def test_the_model_that_is_validated_is_the_one_keto_has(stage):
    names = {each["name"] for each in stage.keto.read.get("/namespaces").json()["namespaces"]}
    assert names == set(read_model().namespaces)
