"""Checks of Ory's paths that try to reach what a grant gave after its end. No worker runs here."""

from collections.abc import Iterator

import pytest

from tests.tuple_stage import Stage, granted, over_in_keto, stage_running

PERMISSION = "members.suspend"
CHECKS = "/relation-tuples/check/openapi"


@pytest.fixture(scope="module")
def stage(keto, database_url, valkey_url) -> Iterator[Stage]:
    with stage_running(keto, database_url, valkey_url, has_worker=False) as running:
        yield running


@pytest.fixture(scope="module")
def all_ended(stage, request) -> list[str]:
    """Return a member for every test, whose grant was in Keto, and is over."""
    tests = [each for each in request.session.items if each.path == request.path]
    return over_in_keto(stage, len(tests), PERMISSION)


@pytest.fixture
def ended(stage, all_ended) -> str:
    """Return a member whose grant is over, and still in Keto; nobody has noticed yet."""
    member = all_ended.pop()
    assert granted(stage, member)
    return member


def asked(member: str, relation: str) -> dict:
    return {
        "namespace": "Permission",
        "object": PERMISSION,
        "relation": relation,
        "subject_id": member,
    }


@pytest.mark.parametrize("relation", ["use", "holds", "granted"])
@pytest.mark.parametrize("depth", [{}, {"max-depth": "9"}])
@pytest.mark.parametrize("by", ["GET", "POST", "batch"])
def test_what_has_ended_is_denied_however_it_is_asked(stage, ended, relation, depth, by):
    check = asked(ended, relation)
    if by == "batch":
        answer = stage.edge.post(
            "/relation-tuples/batch/check", json={"tuples": [check]}, params=depth
        )
        assert answer.json() == {"results": [{"allowed": False}]}
    elif by == "GET":
        answer = stage.edge.get(CHECKS, params=check | depth)
        assert answer.json() == {"allowed": False}
    else:
        answer = stage.edge.post(CHECKS, json=check, params=depth)
        assert answer.json() == {"allowed": False}
    assert granted(stage, ended) == []


@pytest.mark.parametrize(
    "spelled",
    [
        str.upper,
        "{{{}}}".format,
        "urn:uuid:{}".format,
        " {}".format,
        lambda member: member.replace("-", ""),
        "{}\t".format,
    ],
)
def test_another_spelling_of_a_subject_is_another_subject(stage, ended, spelled):
    for relation in ("use", "granted"):
        answer = stage.edge.post(CHECKS, json=asked(spelled(ended), relation))
        assert answer.status_code == 400 or answer.json() == {"allowed": False}


def test_a_set_of_one_subject_is_not_that_subject(stage, ended):
    for inner in ("", "..."):
        check = asked(ended, "granted")
        del check["subject_id"]
        check["subject_set"] = {"namespace": "User", "object": ended, "relation": inner}
        answer = stage.edge.post(CHECKS, json=check)
        assert answer.status_code >= 400 or answer.json() == {"allowed": False}
