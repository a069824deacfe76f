"""Explanations agree with real Keto, and say in words what it does not say."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from integration.edge.database import Database
from integration.edge.decisions.explaining import Explainer, Explanation
from integration.edge.decisions.upstream import DecisionUpstream
from integration.keto_model import read_model
from policies.permission_questions import Question
from tests.decision_stage import Stage, stage_on

GOLDEN = json.loads((Path(__file__).parents[1] / "keto" / "golden.json").read_text())
NAMES = GOLDEN["names"]


@pytest.fixture(scope="module")
def golden(keto):
    tuples = [item["tuple"] for item in GOLDEN["tuples"]]
    keto.insert(*tuples)
    yield keto
    keto.delete(*tuples)


def explaining(services, keto, questions: list[Question]) -> list[Explanation]:
    async def run() -> list[Explanation]:
        settings = services.settings.model_copy(update={"keto_read_url": keto.read_url})
        upstream, database = DecisionUpstream(settings), Database(settings)
        explainer = Explainer(read_model(), upstream, database, seconds=20.0)
        await upstream.start()
        await database.start()
        try:
            return [await explainer.explain(each) for each in questions]
        finally:
            await database.close()
            await upstream.close()

    return asyncio.run(run())


def question(who: str, relation: str, namespace: str, name: str) -> Question:
    return Question(NAMES[who], namespace, name, relation)


def test_explanations_agree_with_keto_on_every_golden_case(services, golden):
    cases = [case for case in GOLDEN["cases"] if "subject_id" in case["tuple"]]
    asked = [
        Question(
            case["tuple"]["subject_id"],
            case["tuple"]["namespace"],
            case["tuple"]["object"],
            case["tuple"]["relation"],
        )
        for case in cases
    ]

    explained = explaining(services, golden, asked)

    pairs = list(zip(cases, explained, strict=True))
    assert [c["text"] for c, e in pairs if e.tree.allowed is not c["allowed"]] == []
    assert [c["text"] for c, e in pairs if bool(e.paths) is not c["allowed"]] == []
    assert [c["text"] for c, e in pairs if bool(e.missing()) is c["allowed"]] == []
    assert all(each.is_complete for each in explained)


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (("cleo", "edit", "Content", "private_item"), "owner", "is owner of"),
        (("ed", "edit", "Content", "private_item"), "editor", "is editor of"),
        (("vic", "view", "Content", "private_item"), "viewer", "is viewer of"),
        (("mona", "view", "Content", "private_item"), "role", "has the role moderator"),
        (("cat_mod", "view", "Content", "private_item"), "moderator", "is moderator of"),
        (("guest", "view", "Content", "public_item"), "public", "is a guest"),
        (("sten", "view", "Content", "public_item"), "public", "may act at all"),
        (("ada", "administer", "Platform", "main"), "role", "has the role admin"),
        (("grantee", "use", "Permission", "content.publish"), "direct", "holds content.publish"),
        (
            ("wild", "use", "Permission", "content.publish"),
            "wildcard",
            "holds content.*, which covers content.publish",
        ),
        (
            ("ada", "use", "Permission", "content.publish"),
            "wildcard",
            "has the role admin, which holds *, which covers content.publish",
        ),
    ],
)
def test_a_way_is_named_in_plain_words(services, golden, asked, kind, words):
    who, relation, namespace, name = asked
    asked = question(who, relation, namespace, NAMES.get(name, name))

    (explained,) = explaining(services, golden, [asked])

    assert explained.paths[0].kind == kind
    assert words in explained.paths[0].text


def test_what_is_missing_is_named_and_only_that(services, golden):
    asked = question("sus_owner", "edit", "Content", NAMES["private_item"])
    stranger = question("sten", "edit", "Content", NAMES["private_item"])

    suspended, without = explaining(services, golden, [asked, stranger])

    assert suspended.missing() == ["may not act at all: its account is not active"]
    assert f"is not owner of Content:{NAMES['private_item']}" in without.missing()
    assert "may not act at all: its account is not active" not in without.missing()


# Through the edge


@pytest.fixture
def stage(services, golden) -> Iterator[Stage]:
    """An edge before real Keto; the golden people are members, as suspended as they should be."""
    with services.transaction() as session:
        for name, identity_id in NAMES.items():
            status = "suspended" if name.startswith("sus_") else "active"
            if name != "guest":
                session.execute(
                    text(
                        "insert into members (identity_id, status, role, status_changed_at,"
                        " registered_at) values (:id, :status, 'user', now(), now())"
                    ),
                    {"id": identity_id, "status": status},
                )
    with stage_on(services, golden) as made:
        yield made


def asked_of(case) -> dict[str, str]:
    asked = case["tuple"]
    resource = f"{asked['namespace']}:{asked['object']}"
    return {"subject": asked["subject_id"], "action": asked["relation"], "resource": resource}


def test_checks_and_explanations_through_the_edge_are_those_of_the_golden_cases(stage):
    cases = [
        case
        for case in GOLDEN["cases"]
        if "subject_id" in case["tuple"] and case["tuple"]["relation"] != "active"
    ]
    for start in range(0, len(cases), 200):
        some = cases[start : start + 200]
        answered = stage.post("batch-check", checks=[asked_of(case) for case in some])
        results = answered.json()["results"]
        pairs = zip(some, results, strict=True)
        assert [c["text"] for c, r in pairs if r.get("allowed") is not c["allowed"]] == []

    def explain(case) -> dict:
        return stage.post("explain", **asked_of(case)).json()

    with ThreadPoolExecutor(8) as pool:
        explained = list(zip(cases, pool.map(explain, cases), strict=True))
    assert [c["text"] for c, e in explained if e["allowed"] is not c["allowed"]] == []
    assert [c["text"] for c, e in explained if bool(e["paths"]) is not c["allowed"]] == []
    assert [c["text"] for c, e in explained if bool(e["missing"]) is c["allowed"]] == []
    assert [c["text"] for c, e in explained if not e["complete"]] == []


def test_a_grant_is_explained_with_its_end(stage):
    until = datetime.now(UTC) + timedelta(hours=1)
    stage.execute(
        "insert into permission_grants (id, subject_id, permission, reason, granted_by,"
        " created_at, expires_at) values (:id, :subject, 'content.publish', 'while ada is away',"
        " 'test', now(), :until)",
        id=uuid4(),
        subject=NAMES["grantee"],
        until=until,
    )

    explained = stage.post("explain", subject=NAMES["grantee"], permission="content.publish").json()

    assert explained["reason"] == "grant"
    (way,) = (each for each in explained["paths"] if each["kind"] == "grant")
    assert datetime.fromisoformat(way["until"]) == until
    assert way["grant_reason"] == "while ada is away"


def test_who_is_suspended_reads_that_and_nothing_else(stage):
    explained = stage.post(
        "explain",
        subject=NAMES["sus_owner"],
        action="edit",
        resource=f"Content:{NAMES['private_item']}",
    ).json()

    assert (explained["allowed"], explained["reason"]) == (False, "gate_closed")
    assert explained["missing"] == [
        "The account is not active: nothing is permitted to it until it is."
    ]


def test_who_can_reach_an_object_is_listed_by_the_way(stage):
    item = f"Content:{NAMES['private_item']}"

    answer = stage.post("explain", who=True, action="edit", resource=item).json()

    assert answer["complete"] is True
    ways = {way["kind"]: way for way in answer["reachable_by"]}
    assert ways["owner"]["subjects"] == [NAMES["cleo"]]
    assert ways["editor"]["subjects"] == [NAMES["ed"]]
    assert ways["role"]["text"] == "Whoever has the role admin."
    assert "viewer" not in ways


def test_a_public_object_is_reached_by_everybody(stage):
    item = f"Content:{NAMES['public_item']}"

    answer = stage.post("explain", who=True, action="view", resource=item).json()

    assert "public" in {way["kind"] for way in answer["reachable_by"]}


def test_a_member_reads_its_own_ways_and_nothing_of_what_lies_around(stage):
    session = {"X-Session-Token": NAMES["sten"]}
    item = f"Content:{NAMES['private_item']}"

    denied = stage.post("explain", headers=session, action="edit", resource=item).json()
    public = f"Content:{NAMES['public_item']}"
    allowed = stage.post("explain", headers=session, action="view", resource=public).json()

    assert (denied["allowed"], denied["tree"]) == (False, None)
    assert denied["missing"] == ["Nothing gives this to the subject."]
    assert (allowed["reason"], allowed["paths"][0]["kind"]) == ("public", "public")
    assert allowed["paths"][0]["via"] == []


def test_only_a_service_asks_who_can_reach_an_object(stage):
    session = {"X-Session-Token": NAMES["uma"]}

    answered = stage.post("explain", headers=session, who=True, permission="content.publish")

    assert answered.status == 403
