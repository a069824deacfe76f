"""Questions about permissions: what is read, and what cannot be asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import GUEST_SUBJECT
from policies.ory_checks import read_ory_check
from policies.permission_questions import (
    Asked,
    Epochs,
    MalformedError,
    Question,
    read_epochs,
    read_question,
    read_subject,
)

SUBJECT = "3b1f8a54-6f5e-4c5f-8f60-2c8a3b8f2f10"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)
OURS = st.sampled_from(["subject", "permission", "action", "resource", "at_least", "fresh"])
ORYS = st.sampled_from(["namespace", "object", "relation", "subject_id", "subject_set"])


def test_a_permission_is_the_permit_use():
    asked = read_question({"subject": SUBJECT, "permission": "content.*"})

    assert asked == Asked(SUBJECT, "Permission", "content.*", "use")


def test_an_action_is_a_permit_of_its_resource():
    document = {"action": "edit", "resource": "Content:a:b", "fresh": True, "at_least": "3.4"}

    assert read_question(document) == Asked(
        None, "Content", "a:b", "edit", at_least=Epochs(3, 4), fresh=True
    )


@pytest.mark.parametrize("given_as", [SUBJECT, SUBJECT.upper()])
def test_a_subject_has_one_spelling(given_as):
    assert read_subject(given_as) == SUBJECT


def test_a_guest_is_a_subject_of_its_own():
    assert read_subject("guest") == GUEST_SUBJECT


@given(JSON | st.dictionaries(OURS, JSON))
def test_whatever_comes_is_a_question_or_malformed(document):
    try:
        asked = read_question(document)
    except MalformedError:
        return
    assert asked.about(SUBJECT).is_permit


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_epochs_come_back_as_they_were_given(subject, edges):
    epochs = Epochs(subject, edges)

    assert read_epochs(str(epochs)) == epochs
    assert epochs.reaches(epochs)
    assert not epochs.reaches(Epochs(subject + 1, edges))
    assert not epochs.reaches(Epochs(subject, edges + 1))


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.x", "9" * 19 + ".1", 1])
def test_an_epoch_nobody_gave_is_refused(text):
    with pytest.raises(MalformedError):
        read_epochs(text)


@given(JSON | st.dictionaries(ORYS, JSON), st.none() | st.text(max_size=4))
def test_whatever_comes_of_ory_is_a_check_or_malformed(members, depth):
    try:
        check = read_ory_check(members, depth)
    except MalformedError:
        return
    assert set(check.members) <= set(members)
    assert check.max_depth is None or check.max_depth > 0


def test_only_a_permit_about_a_plain_subject_at_keto_s_own_depth_may_be_remembered():
    check = {"namespace": "Content", "object": "a", "relation": "view", "subject_id": SUBJECT}

    assert read_ory_check(check).permit() == Question(SUBJECT, "Content", "a", "view")
    subject_set = {"namespace": "Platform", "object": "main", "relation": "active"}
    no_subject = {name: value for name, value in check.items() if name != "subject_id"}
    for other in (
        check | {"relation": "owners"},
        check | {"relation": "readers"},
        check | {"namespace": "Other"},
        check | {"object": ""},
        check | {"subject_id": SUBJECT.upper()},
        no_subject,
        no_subject | {"subject_set": subject_set},
    ):
        assert read_ory_check(other).permit() is None
    assert read_ory_check(check, "3").permit() is None
