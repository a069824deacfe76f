"""Tickets of members shut out, what the service says for its clients, and refresh tokens' text."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration import member_tickets, on_behalf
from integration.tokens import refresh_tokens
from integration.tokens.refresh_tokens import RefreshToken

SECRET = "a secret for these tests"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PATH = "/self-service/login"
SOMEBODY = UUID("8c3f9c1e-5d0b-4a57-9a2e-3f0a1c6b7d21")


def test_a_ticket_is_of_one_member_and_state_for_one_purpose_for_a_quarter_of_an_hour():
    somebody, since = uuid4(), NOW - timedelta(microseconds=1)
    ticket = member_tickets.issue(SECRET, "appeal", somebody, since=since, now=NOW)
    read = member_tickets.read(SECRET, "appeal", ticket, now=NOW)
    assert (read.identity_id, read.since) == (somebody, since)
    almost = NOW + timedelta(minutes=14, seconds=59)
    assert member_tickets.read(SECRET, "appeal", ticket, now=almost) == read
    late = NOW + timedelta(minutes=15)
    assert member_tickets.read(SECRET, "appeal", ticket, now=late) is None
    assert member_tickets.read(SECRET, "reactivate", ticket, now=NOW) is None
    assert member_tickets.read("another secret", "appeal", ticket, now=NOW) is None


@given(st.data())
def test_a_ticket_that_was_changed_anywhere_is_none(data):
    ticket = member_tickets.issue(SECRET, "appeal", SOMEBODY, since=NOW, now=NOW)
    at = data.draw(st.integers(0, len(ticket) - 1))
    other = data.draw(st.sampled_from("0123456789abcdef.-+ ").filter(lambda c: c != ticket[at]))
    changed = ticket[:at] + other + ticket[at + 1 :]
    assert member_tickets.read(SECRET, "appeal", changed, now=NOW) is None
    assert member_tickets.read(SECRET, "appeal", ticket + other, now=NOW) is None
    assert member_tickets.read(SECRET, "appeal", ticket[:at], now=NOW) is None


@given(
    st.text() | st.from_regex(r"[0-9a-f-]{36}\.[0-9]{1,14}\.[0-9]{1,14}\.[0-9a-f]*", fullmatch=True)
)
def test_whatever_else_is_no_ticket(text):
    assert member_tickets.read(SECRET, "appeal", text, now=NOW) is None


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_edge_believes_a_signature_for_this_path_just_now(address):
    said = on_behalf.issue(SECRET, address, PATH, now=1000.0)
    assert on_behalf.read(SECRET, said, PATH, now=1030.0) == address
    assert on_behalf.read(SECRET, said, PATH, now=1031.5) is None
    assert on_behalf.read(SECRET, said, PATH, now=960.0) is None
    assert on_behalf.read(SECRET, said, "/self-service/settings", now=1000.0) is None
    assert on_behalf.read("another secret", said, PATH, now=1000.0) is None
    assert on_behalf.read(SECRET, said.replace(address, "192.0.2.8"), PATH, now=1000.0) is None


@given(st.text())
def test_whatever_else_is_no_signature(text):
    assert on_behalf.read(SECRET, text, PATH, now=1000.0) is None


@given(st.uuids(), st.integers(0, 2**31 - 2), st.binary(min_size=32, max_size=32))
def test_a_refresh_token_is_read_back_from_its_text(family, generation, secret):
    token = RefreshToken(family, generation, secret)
    assert refresh_tokens.parse(token.text()) == token
    assert secret.hex() not in repr(token)


@given(st.text(max_size=100) | st.from_regex(r"krt_[A-Za-z0-9_=-]{70}", fullmatch=True))
def test_a_text_is_read_only_as_it_is_written(text):
    token = refresh_tokens.parse(text)
    assert token is None or token.text() == text


def test_a_successor_is_always_the_same_and_nobody_elses():
    token = refresh_tokens.first(uuid4())
    following = refresh_tokens.successor(token, secret=SECRET)
    assert following == refresh_tokens.successor(token, secret=SECRET)
    assert following != refresh_tokens.successor(token, secret="another secret")
    assert following.generation == 1
    other = RefreshToken(uuid4(), 0, token.secret)
    assert refresh_tokens.successor(other, secret=SECRET).secret != following.secret
