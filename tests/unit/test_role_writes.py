"""What tuples on the platform mean for members."""

from itertools import product

import pytest

from policies.authority import GUEST_SUBJECT, ROLE_RELATIONS, Role
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.relationships import Relationship
from policies.role_writes import RoleWrite, decide_new_role, decide_roles
from policies.tuple_writes import TupleWrites, decide_authority

ADA = "3c3f079e-89d2-4f58-9f72-96b1617ad2cc"
BEN = "8d26e72d-d5ae-578d-acb4-960335bbe519"


def on_platform(relation, subject=ADA):
    return Relationship("Platform", "main", relation, subject)


def code_of(decision):
    assert isinstance(decision, Deny)
    return decision.reasons[0].code


@pytest.mark.parametrize("role", Role)
def test_a_role_tuple_assigns_that_role_and_its_end_takes_it(role):
    item = on_platform(ROLE_RELATIONS[role])
    assert decide_roles([item], []) == {ADA: RoleWrite(role, frozenset())}
    assert decide_roles([], [item]) == {ADA: RoleWrite(None, frozenset({role}))}


def test_members_are_told_apart():
    roles = decide_roles([on_platform("admins")], [on_platform("users"), on_platform("users", BEN)])
    assert roles == {
        ADA: RoleWrite(Role.ADMIN, frozenset({Role.USER})),
        BEN: RoleWrite(None, frozenset({Role.USER})),
    }


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (on_platform("active"), "gate_follows_status"),
        (on_platform("guests"), "guest_is_one"),
        (on_platform("enter"), "relation_unknown"),
    ],
)
def test_what_is_no_role_is_refused_whether_it_comes_or_goes(item, code):
    assert code_of(decide_roles([item], [])) == code
    assert code_of(decide_roles([], [item])) == code


def test_other_tuples_are_keto_s_own_affair_and_do_not_mix():
    other = Relationship("Content", "a", "owners", ADA)
    guest = on_platform("guests", GUEST_SUBJECT)
    assert decide_authority(TupleWrites(insert=(other, guest))) == {}
    assert code_of(decide_authority(TupleWrites(insert=(on_platform("admins"), other)))) == (
        "roles_apart"
    )
    assert not TupleWrites(insert=(other,)).is_of_authority
    assert TupleWrites(delete=(guest,)).is_of_authority


@pytest.mark.parametrize(("status", "have", "want"), list(product(Status, Role, Role)))
def test_who_is_not_deleted_gets_the_role(status, have, want):
    decided = decide_new_role(status, have, RoleWrite(want, frozenset()))
    if status is Status.DELETED:
        assert code_of(decided) == "member_deleted"
    else:
        assert decided is want


@pytest.mark.parametrize(("have", "taken"), list(product(Role, Role)))
def test_who_loses_its_role_is_a_user_and_nobody_has_none(have, taken):
    decided = decide_new_role(Status.ACTIVE, have, RoleWrite(None, frozenset({taken})))
    if have is not taken:
        assert decided is have
    elif have is Role.USER:
        assert code_of(decided) == "role_needed"
    else:
        assert decided is Role.USER
