"""Tuples as clients write them, against the model."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.keto_model import read_model
from policies.decisions import Deny
from policies.relationships import Relationship, SubjectSet, decide_insert, read
from policies.tuple_deletes import Pattern, decide_delete
from policies.tuple_writes import TupleWrites, decide_patch, decide_put

MODEL = read_model()
SOMEBODY = "3c3f079e-89d2-4f58-9f72-96b1617ad2cc"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("namespace", "object", "relation", "subject_id", "subject_set"))
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
names = st.sampled_from(
    [
        *MODEL.namespaces,
        *(name for each in MODEL.namespaces.values() for name in (*each.relations, *each.permits)),
        "main",
        "*",
        "",
        SOMEBODY,
    ]
)
subject_sets = st.builds(SubjectSet, names, names, names)
relationships = st.builds(Relationship, names, names, names, names | subject_sets)


@given(document=json_values)
def test_any_document_is_a_tuple_or_refused(document):
    found = read(document)
    if isinstance(found, Relationship):
        assert read(json.loads(json.dumps(found.to_json()))) == found
    else:
        assert isinstance(found, Deny)
    for decision in (decide_put(MODEL, document), decide_patch(MODEL, document)):
        assert isinstance(decision, TupleWrites | Deny)


@given(item=relationships)
def test_what_is_written_fits_what_the_relation_names(item):
    if decide_insert(MODEL, item) is not None:
        return
    relation = MODEL.relation(item.namespace, item.relation)
    assert relation is not None
    if isinstance(item.subject, SubjectSet):
        named = [(each.namespace, each.relation or "") for each in relation.types]
        assert (item.subject.namespace, item.subject.relation) in named
        assert item.subject.namespace != "User"
        assert item.subject.object == "main" or item.subject.namespace != "Platform"
    else:
        assert any(each.is_plain for each in relation.types)
        assert item.subject == SOMEBODY
    assert item.object == "main" or item.namespace != "Platform"


@pytest.mark.parametrize(
    "item",
    [
        Relationship("Content", "a", "owners", SOMEBODY),
        Relationship("Content", "a", "platform", SubjectSet("Platform", "main", "")),
        Relationship("Content", "a", "channels", SubjectSet("Channel", "news", "")),
        Relationship("Content", "a", "audience", SubjectSet("Platform", "main", "guests")),
        Relationship("Permission", "content.*", "covered", SubjectSet("Permission", "*", "")),
        Relationship("Permission", "*", "granted", SubjectSet("Platform", "main", "admins")),
        Relationship("Permission", "content.publish", "granted", SOMEBODY),
        Relationship("Channel", "o" * 128, "within", SubjectSet("Channel", "A.z_9~:*-", "")),
    ],
    ids=str,
)
def test_every_kind_of_tuple_has_a_place(item):
    assert decide_insert(MODEL, item) is None


def test_a_set_may_leave_its_empty_relation_out():
    document = {
        "namespace": "Content",
        "object": "a",
        "relation": "platform",
        "subject_set": {"namespace": "Platform", "object": "main"},
    }
    assert read(document) == Relationship(
        "Content", "a", "platform", SubjectSet("Platform", "main", "")
    )


def test_ory_sends_null_for_the_subject_it_has_not():
    document = Relationship("Content", "a", "owners", SOMEBODY).to_json() | {"subject_set": None}
    assert read(document) == Relationship("Content", "a", "owners", SOMEBODY)


@given(item=relationships)
def test_a_delete_names_what_it_was_made_of(item):
    pattern = Pattern(item.namespace, item.object, item.relation, item.subject)
    query = pattern.to_query()

    found = decide_delete(MODEL, query, confirmed=None)

    if item.namespace in MODEL.namespaces:
        assert found == pattern
        assert found.to_relationship() == item
    else:
        assert isinstance(found, Deny)


@given(
    query=st.dictionaries(
        st.sampled_from(("namespace", "object", "relation", "subject_id", "page_size")), names
    )
)
def test_an_unconfirmed_delete_never_takes_a_whole_namespace(query):
    found = decide_delete(MODEL, query, confirmed=None)
    if isinstance(found, Pattern):
        assert found.to_query() == query
        assert len(query) > 1 or found.is_of_authority
