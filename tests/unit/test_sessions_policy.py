"""How long sessions last, and which devices are new."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.sessions import (
    EXTENSION_STEP,
    LIFESPAN,
    Device,
    is_idle,
    is_known,
    is_to_extend,
    last_moment,
    why_over,
)
from policies.sessions import ends_at as ends_at_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_the_lifespan_is_the_one_that_kratos_is_told():
    text = Path("kratos/kratos.yml").read_text()
    [hours] = re.findall(r"^session:\n(?:  #.*\n)*  lifespan: (\d+)h$", text, re.M)
    assert timedelta(hours=int(hours)) == LIFESPAN


def test_a_session_never_outlives_its_greatest_age():
    assert last_moment(NOW - 29 * DAY, NOW + 7 * DAY, 30 * DAY) == NOW + DAY
    assert last_moment(NOW, NOW + 7 * DAY, 30 * DAY) == NOW + 7 * DAY


def extends(*, started: timedelta, left: timedelta, used: timedelta, age=30 * DAY) -> bool:
    return is_to_extend(
        started_at=NOW - started,
        expires_at=NOW + left,
        last_activity_at=NOW - used,
        max_age=age,
        now=NOW,
    )


def test_a_session_in_use_is_extended_once_a_day():
    left = LIFESPAN - EXTENSION_STEP
    assert extends(started=DAY, left=left, used=timedelta(0))
    assert not extends(started=DAY, left=left + timedelta(minutes=1), used=timedelta(0))


def test_a_session_that_nobody_used_since_is_not_extended():
    assert not extends(started=3 * DAY, left=4 * DAY, used=3 * DAY)


def test_a_session_is_not_extended_beyond_what_its_age_allows():
    assert not extends(started=29 * DAY, left=timedelta(hours=20) + DAY, used=timedelta(0))
    assert not extends(started=2 * DAY, left=5 * DAY, used=timedelta(0), age=7 * DAY)


def test_what_is_over_is_not_extended():
    assert not extends(started=8 * DAY, left=timedelta(0), used=DAY)


def why(*, started=DAY, left=DAY, used=timedelta(0), idle=None) -> str | None:
    return why_over(
        started_at=NOW - started,
        expires_at=NOW + left,
        last_activity_at=NOW - used,
        max_age=30 * DAY,
        idle_timeout=idle,
        now=NOW,
    )


def test_why_a_session_is_over():
    assert why() is None
    assert why(left=-DAY) == "expired"
    assert why(started=31 * DAY) == "too_old"
    assert why(used=2 * DAY) is None
    assert why(used=2 * DAY, idle=DAY) == "idle"


def test_without_a_timeout_nothing_is_idle():
    assert not is_idle(NOW - 300 * DAY, NOW, None)
    assert is_idle(NOW - timedelta(minutes=6), NOW, timedelta(minutes=5))
    assert not is_idle(NOW - timedelta(minutes=5), NOW, timedelta(minutes=5))


def test_a_browser_is_known_by_its_cookie_alone():
    number = uuid4()
    before = [Device(number, FIREFOX, "AT")]
    assert is_known(Device(number, "another version", "PT"), before)
    assert not is_known(Device(uuid4(), FIREFOX, "AT"), before)
    assert not is_known(Device(None, FIREFOX, "AT"), before)


@pytest.mark.parametrize(
    ("agent", "country", "known"),
    [
        ("ship/2", "AT", True),
        ("ship/2", "", True),
        ("ship/2", "PT", False),
        ("boat/1", "AT", False),
    ],
)
def test_an_app_is_known_by_its_name_and_country(agent, country, known):
    assert is_known(Device(None, agent, country), [Device(None, "ship/2", "AT")]) is known


def test_nothing_is_known_of_nobody():
    assert not is_known(Device(None, "ship/2", "AT"), [])


@given(
    started=st.integers(0, 40),
    left=st.integers(-2, 8),
    used=st.integers(0, 40),
    idle=st.none() | st.integers(1, 10),
)
def test_a_session_is_over_from_the_moment_that_was_told_before(started, left, used, idle):
    facts = {
        "started_at": NOW - started * DAY,
        "expires_at": NOW + left * DAY,
        "last_activity_at": NOW - min(used, started) * DAY,
        "max_age": 30 * DAY,
        "idle_timeout": None if idle is None else idle * DAY,
    }
    ends_at = ends_at_of(**facts)
    instant = timedelta(microseconds=1)
    assert why_over(**facts, now=ends_at - instant) is None
    assert why_over(**facts, now=ends_at + instant) is not None
