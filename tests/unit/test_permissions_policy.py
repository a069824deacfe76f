"""Names of permissions, what covers what, and which role has which."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import Role
from policies.decisions import Allow, Deny
from policies.grants import Granter, Holding
from policies.permission_additions import decide_addition
from policies.permission_removals import decide_removal
from policies.permissions import (
    MAX_WORDS,
    PLATFORM_PERMISSIONS,
    CatalogueTuple,
    Permission,
    allows,
    built_in,
    catalogue_tuples,
    check_name,
    covering,
    end_of,
    existing,
    is_administrative,
    permissions_of,
    roles_above,
    wider,
)

words = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
names = st.lists(words, min_size=1, max_size=MAX_WORDS).map(".".join)


@pytest.mark.parametrize(
    "name", ["content.publish", "content.*", "*", "publish", "a.b.c.d", "a.b.c.*", "my-app.x_1"]
)
def test_these_are_names(name):
    assert check_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "content.",
        ".content",
        "content..publish",
        "Content.publish",
        "content.Publish",
        "content publish",
        "*.publish",
        "content.*.x",
        "content*",
        "**",
        "a.b.c.d.e",
        "a.b.c.d.*",
        "1content.x",
        "content.publish\n",
        "content.publish\x00",
        "inhalt.veröffentlichen",
        "x" * 129,
        "'; drop table members; --",
        "Permission:content.publish#use",
    ],
)
def test_these_are_none(name):
    denied = check_name(name)
    assert isinstance(denied, Deny)
    assert denied.reasons[0].code == "permission_name_invalid"


@given(names)
def test_every_name_is_covered_by_itself_by_each_level_and_by_everything(name):
    chain = list(covering(name))
    assert chain[0] == name
    assert chain[-1] == "*"
    assert len(chain) == name.count(".") + 2
    assert all(allows([held], name) for held in chain)
    assert all(check_name(held) is None for held in chain)


@given(names, names)
def test_a_plain_name_covers_nothing_but_itself(one, other):
    assert allows([one], other) == (one == other)


def test_a_wildcard_ends_at_a_dot():
    assert not allows(["content.*"], "contents.publish")
    assert not allows(["content.*"], "content")
    assert not allows(["content.publish"], "content.*")


def test_nothing_is_wider_than_everything():
    assert wider("*") is None
    assert wider("content") == "*"
    assert wider("a.b.c") == "a.b.*"
    assert wider("a.b.*") == "a.*"


def test_each_role_has_what_the_roles_below_have():
    order = list(Role)
    for below, above in itertools.pairwise(order):
        assert permissions_of(below) < permissions_of(above)
    assert "*" in permissions_of(Role.ADMIN)
    assert not any("*" in permissions_of(role) for role in order[:-1])


def test_nobody_but_admins_has_what_changes_authority_by_role():
    assert not any(map(is_administrative, permissions_of(Role.CREATOR)))
    for role in (Role.USER, Role.CREATOR, Role.MODERATOR):
        assert not permissions_of(role) & PLATFORM_PERMISSIONS.keys()


def test_added_permissions_belong_to_their_role_and_those_above():
    added = [Permission("invoices.pay", "", Role.CREATOR), Permission("invoices.approve")]
    assert "invoices.pay" not in permissions_of(Role.USER, added)
    assert "invoices.pay" in permissions_of(Role.CREATOR, added)
    assert "invoices.pay" in permissions_of(Role.MODERATOR, added)
    assert all("invoices.approve" not in permissions_of(role, added) for role in Role)


def test_the_catalogue_has_every_wildcard_above_its_names():
    catalogue = existing([Permission("a.b.c")])
    assert {"a.b.c", "a.b.*", "a.*", "*"} <= catalogue.keys()
    assert all(check_name(item.name) is None for item in built_in())


def test_keto_is_told_gate_cover_and_one_role_each():
    told = catalogue_tuples([Permission("a.b", "", Role.CREATOR)])
    assert told == {
        CatalogueTuple("a.b", "platform", "Platform", "main", ""),
        CatalogueTuple("a.b", "covered", "Permission", "a.*", ""),
        CatalogueTuple("a.b", "granted", "Platform", "main", "creators"),
        CatalogueTuple("a.b", "granted", "Platform", "main", "moderators"),
    }


def test_admins_have_everything_by_one_tuple():
    told = catalogue_tuples(existing([]).values())
    of_admins = [item for item in told if item.subject_relation == "admins"]
    assert of_admins == [CatalogueTuple("*", "granted", "Platform", "main", "admins")]


@given(st.sampled_from(list(Role)), st.sampled_from(sorted(existing([]))))
def test_what_keto_is_told_says_the_same_as_our_tables(role, name):
    told = catalogue_tuples(existing([]).values())
    relation = {"user": "users", "creator": "creators", "moderator": "moderators"}.get(
        role, "admins"
    )
    by_keto = any(
        CatalogueTuple(held, "granted", "Platform", "main", relation) in told
        for held in covering(name)
    )
    assert by_keto == allows(permissions_of(role), name)


def test_roles_above_begin_with_the_role_itself():
    assert roles_above(Role.MODERATOR) == (Role.MODERATOR, Role.ADMIN)


@pytest.mark.parametrize(
    "name",
    ["*", "grants.*", "grants.write", "roles.write", "keys.write", "members.suspend", "audit"],
)
def test_these_are_the_platforms_own(name):
    assert is_administrative(name)


@pytest.mark.parametrize(
    "name", ["content.*", "content.publish", "grantsx.write", "comments.moderate"]
)
def test_these_are_not(name):
    assert not is_administrative(name)


KEY = Granter(None)


def codes(decision):
    return {reason.code for reason in decision.reasons} if isinstance(decision, Deny) else set()


def test_an_application_adds_names_of_its_own():
    assert isinstance(decide_addition(Permission("invoices.pay"), KEY, existing([])), Allow)
    described = Permission("content.*", "All of it.")
    assert isinstance(decide_addition(described, KEY, existing([])), Allow)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gets_a_wildcard_from_who_may_write_roles_alone(role):
    wildcard, plain = Permission("content.*", "", role), Permission("invoices.pay", "", role)
    chief = Granter(None, administers=True)

    assert codes(decide_addition(wildcard, KEY, existing([]))) == {"scope_missing"}
    assert codes(decide_removal(wildcard, KEY, granted=0)) == {"scope_missing"}
    for new, granter in ((wildcard, chief), (plain, KEY), (plain, chief)):
        assert isinstance(decide_addition(new, granter, existing([])), Allow)
        assert isinstance(decide_removal(new, granter, granted=0), Allow)


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (Permission("Invoices"), "permission_name_invalid"),
        (Permission("*", "", Role.USER), "permission_name_reserved"),
        (Permission("roles.write", "", Role.USER), "permission_name_reserved"),
        (Permission("grants.*", "", Role.USER), "permission_name_reserved"),
        (Permission("content.publish", "", Role.USER), "permission_exists"),
        (Permission("invoices.pay", "x" * 501), "description_too_long"),
    ],
)
def test_these_cannot_be_added(new, code):
    assert code in codes(decide_addition(new, KEY, existing([])))


def test_nobody_adds_what_would_be_beyond_oneself():
    creator = Granter("x", (Holding("permissions.write"), Holding("content.publish")))
    new = Permission("invoices.pay", "", Role.USER)
    assert codes(decide_addition(new, creator, existing([]))) == {"permission_not_held"}
    admin = Granter("x", (Holding("*"),))
    assert isinstance(decide_addition(new, admin, existing([])), Allow)


@pytest.mark.parametrize("new", [Permission("content.*", "", Role.USER), Permission("new.one")])
def test_nobody_adds_for_ever_what_is_held_for_a_while(new):
    until = datetime(2026, 5, 1, tzinfo=UTC)
    elevated = Granter("x", (Holding("permissions.write"), Holding("*", until)))
    assert codes(decide_addition(new, elevated, existing([]))) == {"permission_not_held"}


@pytest.mark.parametrize(
    ("name", "role", "granted", "end"),
    [
        ("content.publish", "user", {"content.publish": 5.0}, 5.0),
        ("content.publish", "user", {"content.*": 5.0}, 5.0),
        ("content.publish", "user", {"content.publish": 5.0, "content.*": 9.0, "*": 7.0}, 9.0),
        ("content.publish", "user", {"content.publish": 5.0, "content.*": None}, None),
        ("content.publish", "user", {"channels.create": 5.0}, None),
        ("content.*", "user", {"content.publish": 5.0}, None),
        ("content.publish", "creator", {"content.publish": 5.0}, None),
        ("invoices.pay", "admin", {"invoices.pay": 5.0}, None),
        ("content.publish", None, {"content.publish": 5.0}, 5.0),
    ],
)
def test_an_allow_ends_with_the_last_grant_that_gives_it(name, role, granted, end):
    assert end_of(name, role, granted) == end
