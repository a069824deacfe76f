"""What Keto holds about a member."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import (
    GUEST_SUBJECT,
    GUEST_TUPLE,
    ROLE_RELATIONS,
    RelationTuple,
    Role,
    changes,
    platform_tuples,
)
from policies.lifecycle import Status

SUBJECT = "0b7e8f9c-9d0f-4a52-9a53-2f3a1a5b6c7d"
TUPLES = st.frozensets(
    st.builds(
        RelationTuple,
        st.just("Platform"),
        st.just("main"),
        st.sampled_from(["active", "users", "admins", "creators"]),
        st.sampled_from([SUBJECT, GUEST_SUBJECT]),
    )
)


def relations(status: Status, role: Role) -> set[str]:
    found = platform_tuples(SUBJECT, status, role)
    assert all(
        (one.namespace, one.object, one.subject_id) == ("Platform", "main", SUBJECT)
        for one in found
    )
    return {one.relation for one in found}


@pytest.mark.parametrize(
    ("role", "relation"),
    [
        (Role.USER, "users"),
        (Role.CREATOR, "creators"),
        (Role.MODERATOR, "moderators"),
        (Role.ADMIN, "admins"),
    ],
)
def test_an_active_member_has_the_gate_and_exactly_one_role(role: Role, relation: str) -> None:
    assert relations(Status.ACTIVE, role) == {"active", relation}


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.DEACTIVATED])
@pytest.mark.parametrize("role", Role)
def test_who_may_come_back_keeps_the_role_without_the_gate(status: Status, role: Role) -> None:
    assert relations(status, role) == {ROLE_RELATIONS[role]}


@pytest.mark.parametrize(
    "status", sorted(set(Status) - {Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED})
)
@pytest.mark.parametrize("role", Role)
def test_everybody_else_has_nothing(status: Status, role: Role) -> None:
    assert relations(status, role) == set()


@given(TUPLES, TUPLES)
def test_changes_lead_from_what_is_to_what_should_be(
    have: frozenset[RelationTuple], want: frozenset[RelationTuple]
) -> None:
    insert, delete = changes(have, want)

    assert (have - delete) | insert == want
    # Keto would store a second copy, and refuses to delete what is not there.
    assert not insert & have
    assert delete <= have


def test_guests_are_one_fixed_subject() -> None:
    assert UUID(GUEST_SUBJECT).version == 5
    assert RelationTuple("Platform", "main", "guests", GUEST_SUBJECT) == GUEST_TUPLE
