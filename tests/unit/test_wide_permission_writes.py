"""Which tuples on permissions need `roles:write`, as the grants of the same names do."""

import pytest

from policies.relationships import Relationship, SubjectSet
from policies.tuple_deletes import Pattern
from policies.tuple_writes import TupleWrites, decide_authority

ADA = "3c3f079e-89d2-4f58-9f72-96b1617ad2cc"
WIDE = ["*", "content.*", "roles.write", "members.write", "keys", "grants.write"]
PLAIN = ["content.publish", "invoices.pay"]
RELATIONS = [
    ("granted", ADA),
    ("granted", SubjectSet("Platform", "main", "users")),
    ("covered", SubjectSet("Permission", "invoices.pay", "")),
    ("platform", SubjectSet("Platform", "main", "")),
]


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize(("relation", "subject"), RELATIONS)
def test_a_wide_permission_needs_the_scope_whether_it_comes_or_goes(name, relation, subject):
    item = Relationship("Permission", name, relation, subject)
    harmless = Relationship("Permission", "content.publish", "granted", ADA)
    for writes in (TupleWrites(insert=(harmless, item)), TupleWrites((harmless,), (item,))):
        assert writes.is_of_authority
        # It is Keto's all the same, and no role.
        assert decide_authority(writes) == {}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("relation", "subject"), RELATIONS)
def test_another_permission_needs_no_more_than_before(name, relation, subject):
    item = Relationship("Permission", name, relation, subject)
    assert not TupleWrites((item,)).is_of_authority
    assert not Pattern("Permission", name, relation, subject).needs_roles


@pytest.mark.parametrize("name", [None, *WIDE])
def test_a_pattern_that_may_match_a_wide_permission_needs_the_scope(name):
    for pattern in (Pattern("Permission", name), Pattern("Permission", name, "granted", ADA)):
        assert pattern.needs_roles
        assert not pattern.is_of_authority


def test_an_object_of_another_namespace_may_have_such_a_name():
    assert not TupleWrites((Relationship("Content", "*", "owners", ADA),)).is_of_authority
    assert not Pattern("Content").needs_roles
