"""Sets that were written straight into Keto, in circles and chains: explained truthfully."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from uuid import uuid4

import pytest

from policies.explanations import MAX_DEPTH
from tests.decision_stage import Stage, stage_on


@pytest.fixture
def stage(services, keto) -> Iterator[Stage]:
    """An edge before real Keto."""
    with stage_on(services, keto) as running:
        yield running


@contextmanager
def written(keto, *tuples) -> Iterator[None]:
    """Write past our edge, and take it away again."""
    keto.insert(*tuples)
    try:
        yield
    finally:
        keto.delete(*tuples)


def plugged(name: str) -> dict:
    return inside(name, "platform", "Platform", "main", "")


def inside(name: str, relation: str, namespace: str, target: str, of: str) -> dict:
    members = {"namespace": namespace, "object": target, "relation": of}
    return {"namespace": "Content", "object": name, "relation": relation, "subject_set": members}


def of_audience(name: str, target: str) -> dict:
    return inside(name, "audience", "Content", target, "audience")


def granted(name: str, target: str) -> dict:
    held = inside(name, "granted", "Permission", target, "granted")
    return held | {"namespace": "Permission"}


def standing(name: str, relation: str, subject: str, namespace: str = "Content") -> dict:
    return {"namespace": namespace, "object": name, "relation": relation, "subject_id": subject}


def agreed(stage: Stage, keto, subject: str, name: str) -> dict:
    """Return the explanation, once it says what Keto says."""
    said = keto.allowed(standing(name, "view", subject))
    asked = {"action": "view", "resource": f"Content:{name}"}
    return agreed_on(stage, subject, said, asked)


def agreed_on(stage: Stage, subject: str, said: bool, asked: dict) -> dict:
    checked = stage.post("check", subject=subject, fresh=True, **asked).json()
    answered = stage.post("explain", subject=subject, **asked)
    assert answered.status == 200, answered.body
    explained = answered.json()
    assert [checked["allowed"], explained["allowed"]] == [said, said]
    assert explained["complete"], explained
    assert bool(explained["paths"]) is said
    assert bool(explained["missing"]) is not said
    return explained


def test_a_circle_of_sets_is_explained_as_the_no_that_keto_says(stage, keto):
    one, two, subject = uuid4().hex, uuid4().hex, stage.member()
    circle = (of_audience(one, two), of_audience(two, one), of_audience(one, one))

    with written(keto, *circle, plugged(one), standing("main", "active", subject, "Platform")):
        explained = agreed(stage, keto, subject, one)

    assert not explained["allowed"]
    assert f"is not in the audience of Content:{one}" in explained["missing"]


def test_another_way_than_the_circle_is_found(stage, keto):
    one, two, subject = uuid4().hex, uuid4().hex, stage.member()
    circle = (of_audience(one, two), of_audience(two, one))
    gate = standing("main", "active", subject, "Platform")

    with written(keto, *circle, plugged(one), gate, standing(one, "owners", subject)):
        owner = agreed(stage, keto, subject, one)
    with written(keto, *circle, standing(two, "audience", subject)):
        inside_it = agreed(stage, keto, subject, one)

    assert (owner["allowed"], owner["reason"]) == (True, "owner")
    assert (inside_it["allowed"], inside_it["reason"]) == (True, "public")


def test_who_could_be_allowed_is_listed_in_spite_of_a_circle(stage, keto):
    one, two, subject = uuid4().hex, uuid4().hex, stage.member()
    circle = (of_audience(one, two), of_audience(two, one), standing(two, "audience", subject))

    with written(keto, *circle):
        answered = stage.post("explain", who=True, action="view", resource=f"Content:{one}")

    assert answered.status == 200
    people = [each for way in answered.json()["reachable_by"] for each in way.get("subjects", [])]
    assert subject in people


@pytest.mark.parametrize("sets", range(1, MAX_DEPTH + 2))
def test_a_chain_of_sets_is_followed_as_far_as_keto_follows_it(stage, keto, sets):
    chain, subject = [uuid4().hex for _ in range(sets + 1)], stage.member()
    steps = [of_audience(here, there) for here, there in pairwise(chain)]

    with written(keto, *steps, standing(chain[-1], "audience", subject)):
        agreed(stage, keto, subject, chain[0])


@pytest.mark.parametrize("sets", range(MAX_DEPTH - 5, MAX_DEPTH + 1))
def test_a_chain_of_sets_is_followed_as_far_behind_more_permits(stage, keto, sets):
    chain, subject = [f"x{uuid4().hex[:8]}" for _ in range(sets + 1)], stage.member()
    steps = [granted(here, there) for here, there in pairwise(chain)]
    gate = standing("main", "active", subject, "Platform")
    last = standing(chain[-1], "granted", subject, "Permission")
    tied = inside(chain[0], "platform", "Platform", "main", "") | {"namespace": "Permission"}

    with written(keto, *steps, gate, last, tied):
        said = keto.allowed(standing(chain[0], "use", subject, "Permission"))
        agreed_on(stage, subject, said, {"permission": chain[0]})


@pytest.mark.parametrize("owns", [True, False])
def test_a_set_of_a_permit_is_asked_as_keto_asks_it(stage, keto, owns):
    one, two, subject = uuid4().hex, uuid4().hex, stage.member()
    tuples = [inside(one, "audience", "Content", two, "view"), plugged(two)]
    tuples.append(inside(two, "audience", "Content", one, "view"))
    tuples.append(standing("main", "active", subject, "Platform"))
    if owns:
        tuples.append(standing(two, "owners", subject))

    with written(keto, *tuples):
        agreed(stage, keto, subject, one)
