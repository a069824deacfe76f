"""What an API key may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import Deny
from policies.scopes import SCOPES, parse_scopes, permits

GRANTED = st.frozensets(st.sampled_from(sorted(SCOPES)))


def test_the_scopes_are_the_promised_ones() -> None:
    assert {
        "identities:read",
        "identities:write",
        "permissions:read",
        "permissions:write",
        "roles:read",
        "roles:write",
        "operations:read",
        "operations:write",
    } == SCOPES


@given(GRANTED, st.sampled_from(sorted(SCOPES)))
def test_a_key_may_what_it_names_and_writing_implies_reading(
    granted: frozenset[str], needed: str
) -> None:
    area = needed.partition(":")[0]

    assert permits(granted, needed) is (needed in granted or f"{area}:write" in granted)


def test_reading_does_not_imply_writing() -> None:
    assert not permits(frozenset({"identities:read"}), "identities:write")


@pytest.mark.parametrize("needed", ["", "identities", "identities:", ":write", "identities:admin"])
def test_a_scope_that_does_not_exist_permits_nothing(needed: str) -> None:
    assert not permits(SCOPES | {needed}, needed)


@given(st.lists(st.sampled_from(sorted(SCOPES)), min_size=1))
def test_known_names_become_scopes(names: list[str]) -> None:
    assert parse_scopes(f" {name} " for name in names) == frozenset(names)


def test_all_unknown_names_are_denied_at_once() -> None:
    parsed = parse_scopes(["identities:read", "members:read", "x" * 1000, "members:read"])

    assert isinstance(parsed, Deny)
    assert [reason.code for reason in parsed.reasons] == ["scope_unknown", "scope_unknown"]
    assert all(len(reason.text) < 300 for reason in parsed.reasons)


def test_a_key_without_scopes_is_denied() -> None:
    parsed = parse_scopes([])

    assert isinstance(parsed, Deny)
    assert parsed.reasons[0].code == "scope_missing"
