"""Bodies of submits are read as Kratos reads them, or refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.flows.submits import read_fields
from integration.edge.problems import RefusedError

JSON = [(b"content-type", b"application/json")]
FORM = [(b"content-type", b"application/x-www-form-urlencoded")]


def refused(headers, body) -> tuple[int, str]:
    with pytest.raises(RefusedError) as caught:
        read_fields(headers, body)
    return caught.value.refusal.status, caught.value.refusal.code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": 1} {"b": 2}',
        b'{"a": 1,}',
        b"\xff\xfe{}",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_malformed_json_is_refused(body):
    assert refused(JSON, body) == (400, "malformed_body")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b'{"identifier": "a\\u0000b"}'),
        (JSON, b'{"traits": {"names": ["ada", "\\u0000"]}}'),
        (JSON, b'{"traits": {"a\\u0000": 1}}'),
        (FORM, b"identifier=a%00b"),
    ],
)
def test_a_character_that_no_database_stores_is_refused(headers, body):
    assert refused(headers, body) == (400, "malformed_body")


def test_a_backslash_before_a_number_is_only_text():
    assert read_fields(JSON, b'{"password": "\\\\u0000"}') == {"password": "\\u0000"}


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_nesting_breaks_nothing(depth):
    with suppress(RefusedError):
        read_fields(JSON, b'{"a": ' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"password": "good", "password": "bad"}',
        b'{"password": "good", "pass\\u0077ord": "bad"}',
        b'{"traits": {"email": "a@b.test", "email": "c@d.test"}}',
        b'{"password": "good", "PASSWORD": "bad"}',
        b'{"Password": "alone"}',
        '{"pa\u017f\u017fword": "alone"}'.encode(),
    ],
)
def test_json_that_kratos_could_read_in_another_way_is_refused(body):
    assert refused(JSON, body) == (400, "ambiguous_body")


@pytest.mark.parametrize(
    "body", [b"password=good&password=bad", b"a=1&%61=2", b"a&a", b"traits.email=a&traits.email="]
)
def test_duplicate_form_fields_are_refused(body):
    assert refused(FORM, body) == (400, "ambiguous_body")


@pytest.mark.parametrize("body", [b"a=%zz", b"a=%", b"a=1;b=2", b"a=\xff", b"a=%ff"])
def test_malformed_forms_are_refused(body):
    assert refused(FORM, body) == (400, "malformed_body")


def test_a_form_of_very_many_fields_is_refused():
    body = b"&".join(b"a%d=1" % number for number in range(300))

    assert refused(FORM, body) == (400, "malformed_body")


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/plain",
        b"multipart/form-data; boundary=x",
        b"text/plain, application/json",
        b"application/json, text/plain",
        b"application/jsonp",
        b"",
    ],
)
def test_other_types_are_refused(content_type):
    assert refused([(b"content-type", content_type)], b"{}")[0] == 415


def test_two_types_or_none_for_a_body_are_refused():
    assert refused(JSON + FORM, b"{}")[0] == 415
    assert refused([], b"{}")[0] == 415


def test_reads_json_and_forms():
    headers = [(b"content-type", b"application/json; charset=utf-8")]

    assert read_fields(headers, '{"traits": {"display_name": "Zoë"}}'.encode()) == {
        "traits": {"display_name": "Zoë"}
    }
    assert read_fields(FORM, b"method=password&traits.email=a%40b.test&csrf_token=") == {
        "method": "password",
        "traits.email": "a@b.test",
        "csrf_token": "",
    }
    assert read_fields([], b"") == {}


@given(st.sampled_from([JSON, FORM]), st.binary(max_size=200))
def test_anything_is_read_or_refused(headers, body):
    with suppress(RefusedError):
        read_fields(headers, body)
