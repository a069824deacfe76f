"""The service speaks for a client: only the service, only for a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration import on_behalf

SECRET = "only for this test"
NOW = 1_800_000_000.0
PATH = "/self-service/login"


def issue(address: str, secret: str = SECRET) -> str:
    return on_behalf.issue(secret, address, PATH, now=NOW)


def read(value: str, now: float = NOW, path: str = PATH) -> str | None:
    return on_behalf.read(SECRET, value, path, now=now)


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1"])
def test_what_was_said_is_read(address):
    said = issue(address)
    assert read(said, NOW + 29) == address


@pytest.mark.parametrize("later", [-40, 31, 86_400])
def test_it_is_good_for_half_a_minute(later):
    said = issue("203.0.113.9")
    assert read(said, NOW + later) is None


def test_another_secret_says_nothing():
    assert read(issue("1.2.3.4", "another one")) is None


def test_no_part_can_be_exchanged():
    said = issue("203.0.113.9")
    address, moment, signature = said.split(";")
    for changed in (
        f"203.0.113.8;{moment};{signature}",
        f"{address};{int(moment) + 1};{signature}",
        f"{address};{moment};{signature[:-1]}",
        f"{address}{moment};{signature}",
    ):
        assert read(changed) is None


@given(st.text())
def test_nothing_else_is_believed(text):
    assert read(text) is None


def test_it_is_good_for_its_path_alone():
    assert read(issue("203.0.113.9"), path="/self-service/settings") is None
