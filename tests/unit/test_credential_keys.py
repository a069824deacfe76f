"""What one remembered answer belongs to: exactly what Kratos recognises a session by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.sessions.cache import credential_key

TOKEN = (b"x-session-token", b"ory_st_secret")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"accept", b"*/*")],
        [(b"cookie", b"a=1; b=2")],
        [(b"x-session-token", b"")],
        [(b"cookie", b"xory_kratos_session=1")],
        [TOKEN, TOKEN],
        [TOKEN, (b"cookie", b"ory_kratos_session=1; ory_kratos_session=2")],
        [(b"cookie", b"ory_kratos_session=1"), (b"cookie", b"a=1")],
    ],
)
def test_nothing_is_remembered_without_one_plain_credential(fields):
    assert credential_key(fields) is None


def test_what_else_a_request_says_does_not_count():
    plain = credential_key([(b"cookie", b"ory_kratos_session=1")])
    assert plain == credential_key([(b"cookie", b"a=1;  ory_kratos_session=1 ;b=2")])
    assert plain == credential_key([(b"accept", b"x"), (b"cookie", b"ory_kratos_session=1")])


def test_the_credential_itself_is_not_kept():
    assert b"secret" not in (credential_key([TOKEN]) or b"secret")


PLACES = (b"x-session-token", b"x-session-cookie", b"authorization", b"cookie")
# What may end or split a cookie stays out.
VALUES = st.text("ab01!'", min_size=1, max_size=6).map(str.encode)
GIVEN = st.dictionaries(st.sampled_from(PLACES), VALUES, min_size=1)


def key(given_at: dict[bytes, bytes]) -> bytes | None:
    fields = dict(given_at)
    if b"cookie" in fields:
        fields[b"cookie"] = b"ory_kratos_session=" + fields[b"cookie"]
    return credential_key(list(fields.items()))


@given(GIVEN, GIVEN)
def test_different_credentials_have_different_keys(one, other):
    assert (key(one) == key(other)) is (one == other)
