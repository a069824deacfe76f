"""Who must give a second factor, what counts as one, and what is recent."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.step_up import (
    PRIVILEGED_FOR,
    RECOVERED,
    Standing,
    groups_offered,
    hold_after_recovery,
    is_recent,
    is_second_factor,
    needs_second_factor,
    takes_mailed_code,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "standing",
    [
        Standing("aal1", has_second_factor=True),
        Standing("aal1", requires_second_factor=True),
        Standing("aal1", role="admin"),
        Standing("aal1", hold="risk"),
        Standing("aal2", hold="risk"),
        Standing("aal2", hold="risk", has_second_factor=True),
        Standing("", has_second_factor=True),
    ],
)
def test_a_second_factor_is_needed(standing):
    assert needs_second_factor(standing, {"admin"})


@pytest.mark.parametrize(
    "standing",
    [
        Standing("aal1"),
        Standing("aal1", role="creator"),
        Standing("aal2", role="admin"),
        Standing("aal2", has_second_factor=True, requires_second_factor=True),
    ],
)
def test_no_second_factor_is_needed(standing):
    assert not needs_second_factor(standing, {"admin"})


def test_a_mailed_code_counts_only_without_a_factor_of_ones_own():
    assert takes_mailed_code(has_second_factor=False)
    assert not takes_mailed_code(has_second_factor=True)


def test_a_mailed_code_is_not_offered_beside_a_factor_of_ones_own():
    assert groups_offered(["default", "code"]) == {"default", "code"}
    assert groups_offered(["default", "code", "totp"]) == {"default", "totp"}
    assert groups_offered(["code", "lookup_secret"]) == {"lookup_secret"}


@pytest.mark.parametrize(
    ("methods", "aal", "is_one"),
    [
        (["password", "totp"], "aal2", True),
        (["password", "code"], "aal2", True),
        (["oidc", "lookup_secret"], "aal2", True),
        (["password", "totp", "password"], "aal2", False),
        (["password"], "aal1", False),
        (["code"], "aal1", False),
        (["totp"], "aal2", False),
        ([], "aal2", False),
    ],
)
def test_only_the_latest_proof_counts(methods, aal, is_one):
    assert is_second_factor(methods, aal) is is_one


def test_a_password_from_before_a_recovery_is_held():
    assert hold_after_recovery(["password"]) == RECOVERED
    assert hold_after_recovery(["code_recovery"]) is None
    assert hold_after_recovery(["oidc"]) is None


@pytest.mark.parametrize(
    ("ago", "is_it"),
    [
        (timedelta(0), True),
        (PRIVILEGED_FOR, True),
        (PRIVILEGED_FOR + timedelta(seconds=1), False),
        (timedelta(days=7), False),
        # A clock that is a little ahead, and one that is far off.
        (timedelta(seconds=-30), True),
        (timedelta(minutes=-10), False),
    ],
)
def test_recent_is_a_quarter_of_an_hour(ago, is_it):
    assert is_recent(NOW - ago, NOW) is is_it


def test_an_unknown_moment_is_not_recent():
    assert not is_recent(None, NOW)
