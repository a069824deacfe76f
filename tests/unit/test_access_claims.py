"""What an access token says, and how much."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.access_claims import (
    MOST_PERMISSION_BYTES,
    Subject,
    access_claims,
    capped,
    is_outdated,
)

NOW = datetime(2026, 11, 25, 12, 0, 0, 700_000, tzinfo=UTC)


def claims(idle_timeout=None, **changes):
    values = {
        "identity_id": "i",
        "session_id": "s",
        "authenticated_at": NOW,
        "session_expires_at": NOW + timedelta(days=1),
        "methods": ["password", "totp", "password"],
        "aal": "aal2",
        "role": "user",
        "status": "active",
        "permissions": ["b", "a"],
    }
    return access_claims(
        Subject(**(values | changes)),
        issuer="https://id.example",
        audience="kleis",
        token_id="t",
        now=NOW,
        lifetime=timedelta(minutes=15),
        idle_timeout=idle_timeout,
    )


@given(st.lists(st.text(max_size=60), max_size=400))
def test_permissions_fit_and_say_when_some_are_missing(names):
    kept, truncated = capped(tuple(names))
    assert len(json.dumps(kept, separators=(",", ":"))) <= MOST_PERMISSION_BYTES
    assert list(kept) == sorted(set(names))[: len(kept)]
    assert truncated == (len(kept) < len(set(names)))


def test_the_mark_is_there_only_when_it_is_needed():
    assert "permissions_truncated" not in claims()
    many = claims(permissions=[f"content.{number:04}" for number in range(1000)])
    assert many["permissions_truncated"] is True


@given(st.integers(0, 3600))
def test_it_never_ends_after_its_session_nor_later_than_it_may(seconds):
    said = claims(session_expires_at=NOW + timedelta(seconds=seconds))
    assert said["exp"] <= (NOW + timedelta(seconds=seconds)).timestamp()
    assert said["exp"] - NOW.timestamp() <= 900


@given(st.integers(1, 3600))
def test_it_never_ends_after_its_session_would_be_idle(seconds):
    said = claims(idle_timeout=timedelta(seconds=seconds))
    assert said["exp"] == int((NOW + timedelta(seconds=min(seconds, 900))).timestamp())


def test_methods_are_told_once_each_in_order():
    assert claims()["amr"] == ["password", "totp"]


@pytest.mark.parametrize(
    ("roles", "issued", "changed", "outdated"),
    [
        (["user"], 100, None, False),
        (["user"], 100, 100.9, False),
        (["user"], 99, 100.0, True),
        (["admin"], 100, None, True),
        (["user", "admin"], 100, None, True),
        (None, 100, None, True),
        ("user", 100, None, True),
    ],
)
def test_a_token_of_another_role_or_from_before_its_change_is_outdated(
    roles, issued, changed, outdated
):
    moment = None if changed is None else datetime.fromtimestamp(changed, UTC)
    found = is_outdated(roles=roles, issued_at=issued, role="user", role_changed_at=moment)
    assert found is outdated
