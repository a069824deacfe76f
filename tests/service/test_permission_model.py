"""The permission model on real Keto: golden cases, every status and role, random worlds.

Strict mode, asked at depth 10 (as configured) and at 7 (what the model needs), so that a model that
grew is noticed before a deployment runs into the limit, where Keto only says no.
"""

import json
from itertools import pairwise, product
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings

from policies.authority import GUEST_SUBJECT, Role, platform_tuples
from policies.lifecycle import Status
from policies.parent_edges import MAX_CHAIN
from tests.keto.reference import GUEST, World
from tests.keto.worlds import ACTIONS, PEOPLE, THINGS, Telling, worlds

GOLDEN = json.loads((Path(__file__).parents[1] / "keto" / "golden.json").read_text())
TUPLES = [item["tuple"] for item in GOLDEN["tuples"]]
CASES = GOLDEN["cases"]
GATES = [each for each in TUPLES if each["relation"] == "active"]
DEPTHS = (10, 7)


@pytest.fixture(scope="module")
def golden(keto):
    """Keto with the golden tuples. They name the platform's roles, so nothing else may."""
    keto.insert(*TUPLES)
    yield keto
    keto.delete(*TUPLES)


@pytest.fixture(scope="module")
def guests(keto):
    """The guest, as an operator seeds it once."""
    fact = platform("guests", GUEST_SUBJECT)
    keto.insert(fact)
    yield keto
    keto.delete(fact)


def platform(relation, subject_id):
    return {
        "namespace": "Platform",
        "object": "main",
        "relation": relation,
        "subject_id": subject_id,
    }


def plugged(namespace, name):
    return edge(namespace, name, "platform", "Platform", "main")


def edge(namespace, name, relation, other, parent, *, of=""):
    return {
        "namespace": namespace,
        "object": name,
        "relation": relation,
        "subject_set": {"namespace": other, "object": parent, "relation": of},
    }


def fact(namespace, name, relation, subject_id):
    return {
        "namespace": namespace,
        "object": name,
        "relation": relation,
        "subject_id": subject_id,
    }


def wrong(keto, cases, *, depth):
    answers = keto.all_allowed((case["tuple"] for case in cases), depth=depth)
    pairs = zip(cases, answers, strict=True)
    return [case["text"] for case, allowed in pairs if allowed is not case["allowed"]]


@pytest.mark.parametrize("depth", DEPTHS)
def test_golden_cases(golden, depth):
    assert len(CASES) == 554
    assert wrong(golden, CASES, depth=depth) == []


def test_a_lower_depth_never_allows_what_must_be_denied(golden):
    denied = [case for case in CASES if not case["allowed"]]
    for depth in (1, 3, 5):
        assert wrong(golden, denied, depth=depth) == []


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate["subject_id"][:8])
def test_who_loses_the_gate_may_do_nothing_until_it_is_back(golden, gate):
    mine = [case for case in CASES if case["tuple"]["subject_id"] == gate["subject_id"]]
    assert mine
    golden.delete(gate)
    try:
        for depth in DEPTHS:
            assert not any(golden.all_allowed((case["tuple"] for case in mine), depth=depth))
    finally:
        golden.insert(gate)
    assert wrong(golden, mine, depth=7) == []


# Every status, role, visibility and scope

BY_SCOPE = {
    "nobody": set(),
    "owner": {"view", "find", "edit", "remove", "share"},
    "editor": {"view", "find", "edit"},
    "viewer": {"view", "find"},
    "moderator of the channel": {"view", "find", "remove"},
    "owner of the channel": {"view", "find", "remove"},
    "moderator two above": {"view", "find", "remove"},
    "moderator elsewhere": set(),
}
BY_ROLE = {
    Role.USER: set(),
    Role.CREATOR: set(),
    Role.MODERATOR: {"view", "find", "remove"},
    Role.ADMIN: {"view", "find", "edit", "remove", "share"},
}
BY_VISIBILITY = {"private": set(), "unlisted": {"view"}, "public": {"view", "find"}}
PLATFORM_BY_ROLE = {
    Role.USER: {"enter", "participate"},
    Role.CREATOR: {"enter", "participate", "create"},
    Role.MODERATOR: {"enter", "participate", "create", "moderate"},
    Role.ADMIN: {"enter", "participate", "create", "moderate", "administer"},
}


@pytest.fixture(scope="module")
def everybody(guests):
    """Somebody for each status, role and scope, each with a place in the same three contents."""
    seed = uuid4().hex[:8]
    root, news, daily, other = (f"{seed}:{name}" for name in ("root", "news", "daily", "other"))
    contents = {kind: f"{seed}:{kind}" for kind in BY_VISIBILITY}
    scopes = {
        "owner": [("Content", name, "owners") for name in contents.values()],
        "editor": [("Content", name, "editors") for name in contents.values()],
        "viewer": [("Content", name, "viewers") for name in contents.values()],
        "moderator of the channel": [("Channel", daily, "moderators")],
        "owner of the channel": [("Channel", daily, "owners")],
        "moderator two above": [("Channel", root, "moderators")],
        "moderator elsewhere": [("Channel", other, "moderators")],
    }
    people = {key: str(uuid4()) for key in product(Status, Role, BY_SCOPE)}
    tuples = [
        *(plugged("Channel", each) for each in (root, news, daily, other)),
        edge("Channel", news, "within", "Channel", root),
        edge("Channel", daily, "within", "Channel", news),
    ]
    for kind, name in contents.items():
        tuples += [plugged("Content", name), edge("Content", name, "channels", "Channel", daily)]
        relations = {"public": ("audience", "listing"), "unlisted": ("audience",)}.get(kind, ())
        tuples += [
            edge("Content", name, relation, "Platform", "main", of=who)
            for relation, who in product(relations, ("active", "guests"))
        ]
    for (status, role, scope), subject_id in people.items():
        mine = platform_tuples(subject_id, status, role)
        tuples += [platform(each.relation, subject_id) for each in mine]
        tuples += [fact(*place, subject_id) for place in scopes.get(scope, [])]
    for start in range(0, len(tuples), 500):
        guests.insert(*tuples[start : start + 500])
    return guests, people, contents


# What is denied at depth 10 is denied at 7: there is no negation.
@pytest.mark.parametrize(("status", "depth"), [*((each, 10) for each in Status), ("active", 7)])
def test_every_status_role_visibility_and_scope(everybody, status, depth):
    status = Status(status)
    keto, people, contents = everybody
    cases = list(product(Role, BY_SCOPE, BY_VISIBILITY, ACTIONS["content"]))
    asked = [
        fact("Content", contents[visibility], action, people[status, role, scope])
        for role, scope, visibility, action in cases
    ]

    answers = keto.all_allowed(asked, depth=depth)

    expected = [
        status is Status.ACTIVE
        and action in BY_ROLE[role] | BY_SCOPE[scope] | BY_VISIBILITY[visibility]
        for role, scope, visibility, action in cases
    ]
    assert [c for c, a, e in zip(cases, answers, expected, strict=True) if a is not e] == []


@pytest.mark.parametrize("status", Status)
def test_what_each_role_may_on_the_platform(everybody, status):
    keto, people, _ = everybody
    for role in Role:
        subject_id = people[status, role, "nobody"]
        wanted = PLATFORM_BY_ROLE[role] if status is Status.ACTIVE else set()
        for action in ACTIONS["platform"]:
            asked = platform(action, subject_id)
            assert keto.allowed(asked) is (action in wanted), (role, action)


def test_a_guest_sees_what_is_public_and_no_more(everybody):
    keto, _, contents = everybody
    for visibility, action in product(BY_VISIBILITY, ACTIONS["content"]):
        asked = fact("Content", contents[visibility], action, GUEST_SUBJECT)
        assert keto.allowed(asked) is (action in BY_VISIBILITY[visibility])
    assert not any(keto.allowed(platform(each, GUEST_SUBJECT)) for each in ACTIONS["platform"])


# Traps: what could be in Keto's database, written past the edge


@pytest.fixture
def stranger(keto):
    """Somebody active, without a role, and a private content and a permission to break into."""
    subject_id, name = str(uuid4()), uuid4().hex
    keto.insert(
        platform("active", subject_id), plugged("Content", name), plugged("Permission", name)
    )
    return subject_id, name


@pytest.mark.parametrize("permit", ["view", "find", "edit", "readers", "writers", "keepers"])
def test_a_tuple_on_the_name_of_a_permit_grants_nothing(keto, stranger, permit):
    subject_id, name = stranger
    keto.insert(fact("Content", name, permit, subject_id))

    asked = [fact("Content", name, action, subject_id) for action in ACTIONS["content"]]
    assert not any(keto.all_allowed([*asked, fact("Content", name, permit, subject_id)]))


@pytest.mark.parametrize("permit", ["enter", "administer", "chiefs", "staff", "members"])
def test_a_tuple_on_a_permit_of_the_platform_makes_nobody_an_admin(keto, permit):
    subject_id, name = str(uuid4()), uuid4().hex
    keto.insert(platform(permit, subject_id), plugged("Content", name))

    asked = [platform(action, subject_id) for action in ACTIONS["platform"]]
    asked += [fact("Content", name, action, subject_id) for action in ACTIONS["content"]]
    assert not any(keto.all_allowed(asked))


def test_a_subject_set_where_plain_subjects_belong_grants_nothing(keto, stranger):
    subject_id, name = stranger
    keto.insert(
        edge("Content", name, "owners", "Platform", "main", of="active"),
        edge("Content", name, "editors", "Platform", "main", of="enter"),
    )

    asked = [fact("Content", name, action, subject_id) for action in ACTIONS["content"]]
    assert not any(keto.all_allowed(asked))


def test_only_the_edge_keeps_out_a_subject_set_that_a_relation_does_not_name(keto, stranger):
    """Strict mode looks at the kind, not at the name: `granted` names four roles, not `active`.

    So `Permission:x#granted@Platform:main#active` would give x to everybody active.
    """
    subject_id, name = stranger
    asked = fact("Permission", name, "use", subject_id)
    assert not keto.allowed(asked)

    keto.insert(edge("Permission", name, "granted", "Platform", "main", of="active"))

    assert keto.allowed(asked)


def test_only_the_edge_keeps_out_a_second_platform(keto):
    """A gate of one's own: whoever could write it would pass without being active."""
    subject_id, name = str(uuid4()), uuid4().hex
    keto.insert(
        fact("Content", name, "owners", subject_id),
        edge("Content", name, "platform", "Platform", name),
        fact("Platform", name, "active", subject_id),
    )

    assert keto.allowed(fact("Content", name, "edit", subject_id))
    assert not keto.allowed(platform("enter", subject_id))


def test_an_edge_written_as_a_plain_subject_leads_nowhere(keto):
    subject_id, name = str(uuid4()), uuid4().hex
    keto.insert(
        platform("active", subject_id),
        fact("Content", name, "platform", "Platform:main"),
        fact("Content", name, "owners", subject_id),
    )

    assert not any(keto.all_allowed(fact("Content", name, a, subject_id) for a in ("view", "edit")))


def test_a_circle_of_channels_ends_and_denies(keto, stranger):
    subject_id, name = stranger
    ring = [f"{name}:{number}" for number in range(50)]
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    keto.insert(
        edge("Content", name, "channels", "Channel", ring[0]),
        *(edge("Channel", below, "within", "Channel", above) for below, above in pairs),
    )

    assert not any(keto.all_allowed(fact("Content", name, a, subject_id) for a in ("view", "edit")))


def test_the_longest_chain_that_may_be_written_is_the_longest_that_keto_follows(keto):
    """`policies.parent_edges.MAX_CHAIN` and `max_read_depth` belong together."""
    subject_id, name = str(uuid4()), uuid4().hex
    chain = [f"{name}.{number}" for number in range(MAX_CHAIN + 2)]
    for namespace, relation in (("Channel", "within"), ("Permission", "covered")):
        keto.insert(*(edge(namespace, a, relation, namespace, b) for a, b in pairwise(chain)))
    keto.insert(
        platform("active", subject_id),
        platform("admins", subject_id),
        plugged("Content", name),
        plugged("Permission", chain[0]),
        edge("Content", name, "channels", "Channel", chain[0]),
    )
    moderator = str(uuid4())
    keto.insert(platform("active", moderator))

    def reaches(end):
        facts = (
            fact("Channel", end, "moderators", moderator),
            edge("Permission", end, "granted", "Platform", "main", of="admins"),
        )
        keto.insert(*facts)
        answers = (
            keto.allowed(fact("Content", name, "remove", moderator)),
            keto.allowed(fact("Permission", chain[0], "use", subject_id)),
        )
        keto.delete(*facts)
        return answers

    assert all(reaches(chain[MAX_CHAIN]))
    # A plain moderator is found one step further than a grant to a role.
    assert not all(reaches(chain[MAX_CHAIN + 1]))


# Random worlds


@settings(max_examples=25, deadline=None)
@given(world=worlds)
def test_keto_agrees_with_the_meaning_of_the_rules(guests, world: World):
    telling = Telling(uuid4().hex[:12])
    tuples = telling.tuples(world)
    if tuples:
        guests.insert(*tuples)
    questions = [
        (who, action, kind, thing)
        for kind, actions in ACTIONS.items()
        for who, thing, action in product((*PEOPLE, GUEST), THINGS[kind], actions)
    ]

    answers = guests.all_allowed(telling.asked(*question) for question in questions)

    pairs = zip(questions, answers, strict=True)
    assert [q for q, allowed in pairs if allowed is not world.may(*q)] == []
