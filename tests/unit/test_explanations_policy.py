"""Following the model: circles and crowds end, and what is not known counts as no."""

from itertools import pairwise

import pytest

from integration.keto_model import read_model
from policies.explanation_paths import missing, paths
from policies.explanations import (
    MAX_STEPS,
    Follower,
    Object,
    ObjectFacts,
    SubjectSet,
)
from policies.permission_questions import Question

MODEL = read_model()
PLATFORM = Object("Platform", "main")
ACTIVE = ObjectFacts(frozenset({"active"}), {})
NOBODY = ObjectFacts(frozenset(), {})


def edges(relation: str, *targets: Object) -> dict[str, tuple[SubjectSet, ...]]:
    return {relation: tuple(SubjectSet(each, "") for each in targets)}


def test_a_circle_of_channels_ends_in_a_no():
    one, two = Object("Channel", "one"), Object("Channel", "two")
    plugged = edges("platform", PLATFORM)
    facts = {
        one: ObjectFacts(frozenset(), plugged | edges("within", two)),
        two: ObjectFacts(frozenset(), plugged | edges("within", one, two)),
        PLATFORM: ACTIVE,
    }
    follower = Follower(MODEL, facts)

    tree = follower.follow(Question("somebody", "Channel", "one", "moderate"))

    assert not tree.allowed
    assert not follower.wanted
    assert "is not moderator of Channel:one" in missing(tree)


def test_a_crowd_of_parents_is_cut_short():
    parents = [Object("Channel", str(number)) for number in range(150)]
    everywhere = ObjectFacts(frozenset(), edges("within", *parents))
    facts = dict.fromkeys(parents, everywhere) | {PLATFORM: ACTIVE}
    follower = Follower(MODEL, facts)

    tree = follower.follow(Question("somebody", "Channel", "0", "moderate"))

    assert not tree.allowed
    assert follower.steps > MAX_STEPS


def sets(relation: str, *members: SubjectSet) -> dict[str, tuple[SubjectSet, ...]]:
    return {relation: members}


def test_a_circle_of_sets_is_a_leaf_that_adds_nobody():
    one, two = Object("Content", "one"), Object("Content", "two")
    of_one, of_two = SubjectSet(one, "audience"), SubjectSet(two, "audience")
    facts = {
        one: ObjectFacts(frozenset(), sets("audience", of_two) | edges("platform", PLATFORM)),
        two: ObjectFacts(frozenset(), sets("audience", of_one, of_two)),
        PLATFORM: ACTIVE,
    }
    follower = Follower(MODEL, facts)

    tree = follower.follow(Question("somebody", "Content", "one", "view"))

    assert not tree.allowed
    assert not follower.wanted
    assert follower.steps < MAX_STEPS
    assert "is not in the audience of Content:one" in missing(tree)


def test_who_stands_in_a_circle_of_sets_is_in_all_of_it():
    one, two = Object("Content", "one"), Object("Content", "two")
    of_one, of_two = SubjectSet(one, "audience"), SubjectSet(two, "audience")
    facts = {
        one: ObjectFacts(frozenset(), sets("audience", of_two)),
        two: ObjectFacts(frozenset({"audience"}), sets("audience", of_one)),
    }
    asked = Question("somebody", "Content", "one", "view")

    tree = Follower(MODEL, facts).follow(asked)

    assert [(way.kind, way.fact) for way in paths(tree, asked)] == [("public", of_two)]


def test_sets_that_all_hold_each_other_are_cut_short():
    crowd = [Object("Content", str(number)) for number in range(60)]
    everybody = sets("audience", *(SubjectSet(each, "audience") for each in crowd))
    facts = dict.fromkeys(crowd, ObjectFacts(frozenset(), everybody))
    follower = Follower(MODEL, facts)

    tree = follower.follow(Question("somebody", "Content", "0", "view"))

    assert not tree.allowed
    assert follower.steps > MAX_STEPS


def test_a_chain_of_sets_ends_where_keto_stops():
    chain = [Object("Content", str(number)) for number in range(400)]
    facts = {
        here: ObjectFacts(frozenset(), sets("audience", SubjectSet(there, "audience")))
        for here, there in pairwise(chain)
    } | {chain[-1]: ObjectFacts(frozenset({"audience"}), {})}

    tree = Follower(MODEL, facts).follow(Question("somebody", "Content", "0", "view"))

    assert not tree.allowed


def test_what_is_not_loaded_is_wanted_and_counts_as_no():
    follower = Follower(MODEL, {})

    tree = follower.follow(Question("somebody", "Content", "a", "edit"))

    assert not tree.allowed
    assert follower.wanted == {Object("Content", "a")}
    assert paths(tree, Question("somebody", "Content", "a", "edit")) == []


@pytest.mark.parametrize("relation", ["nothing", "owned"])
def test_a_permit_that_is_not_there_is_a_no(relation):
    facts = {Object("Content", "a"): NOBODY, PLATFORM: ACTIVE}

    assert not Follower(MODEL, facts).follow(Question("x", "Content", "a", relation)).allowed


def test_the_gate_is_a_way_only_where_there_is_no_other():
    asked = Question("somebody", "Platform", "main", "enter")
    tree = Follower(MODEL, {PLATFORM: ACTIVE}).follow(asked)

    assert [way.kind for way in paths(tree, asked)] == ["gate"]
