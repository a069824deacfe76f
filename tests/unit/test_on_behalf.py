"""The service speaks for a client: only the service, only for a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration import on_behalf
from integration.edge import on_behalf as at_the_edge

SECRET = "only for this test"
NOW = 1_800_000_000.0


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1"])
def test_what_was_said_is_read(address):
    said = on_behalf.issue(SECRET, address, NOW)
    assert on_behalf.read(SECRET, said, NOW + 29) == address


@pytest.mark.parametrize("later", [-40, 31, 86_400])
def test_it_is_good_for_half_a_minute(later):
    said = on_behalf.issue(SECRET, "203.0.113.9", NOW)
    assert on_behalf.read(SECRET, said, NOW + later) is None


def test_another_secret_says_nothing():
    assert on_behalf.read(SECRET, on_behalf.issue("another one", "1.2.3.4", NOW), NOW) is None


def test_no_part_can_be_exchanged():
    said = on_behalf.issue(SECRET, "203.0.113.9", NOW)
    address, moment, signature = said.split(";")
    for changed in (
        f"203.0.113.8;{moment};{signature}",
        f"{address};{int(moment) + 1};{signature}",
        f"{address};{moment};{signature[:-1]}",
        f"{address}{moment};{signature}",
    ):
        assert on_behalf.read(SECRET, changed, NOW) is None


@given(st.text())
def test_nothing_else_is_believed(text):
    assert on_behalf.read(SECRET, text, NOW) is None


def test_two_such_headers_are_none():
    name = on_behalf.HEADER.encode()
    assert at_the_edge.client_address([(name, b"a"), (name, b"b")], SECRET) is None
    assert at_the_edge.client_address([(name, "\u00e9".encode("latin-1"))], SECRET) is None
    assert at_the_edge.client_address([], SECRET) is None
