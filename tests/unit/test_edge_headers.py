"""Header fields on their way up and down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge import headers

SPOOFED = [
    b"true-client-ip",
    b"cf-connecting-ip",
    b"cf-ipcity",
    b"cf-ipcountry",
    b"x-real-ip",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-prefix",
    b"x_forwarded_for",
    b"true_client_ip",
    b"forwarded",
    b"x-kleis-identity",
    b"x-kleis-hook-secret",
    b"x-original-url",
    b"x-rewrite-url",
    b"x-http-method-override",
    b"x-client-ip",
    b"ory-base-url-rewrite",
    b"host",
    b"x-request-id",
]


def up(fields, *, keep_our_cookies=False, drop_credentials=False):
    return headers.upwards(
        fields, keep_our_cookies=keep_our_cookies, drop_credentials=drop_credentials
    )


@pytest.mark.parametrize("name", SPOOFED)
def test_nobody_outside_says_what_kratos_believes(name):
    assert up([(name, b"4.4.4.4"), (b"accept", b"*/*")]) == [(b"accept", b"*/*")]


@pytest.mark.parametrize("name", SPOOFED)
@given(data=st.data())
def test_not_in_any_case_either(name, data):
    cased = bytes(
        data.draw(st.sampled_from([chr(c).lower(), chr(c).upper()])).encode()[0] for c in name
    )
    assert up([(cased, b"4.4.4.4")]) == []


def test_hop_by_hop_fields_end_here_also_those_named_by_connection():
    fields = [
        (b"connection", b"keep-alive, X-Secret"),
        (b"x-secret", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
        (b"transfer-encoding", b"chunked"),
        (b"proxy-authorization", b"Basic eA=="),
        (b"accept", b"*/*"),
    ]

    assert up(fields) == [(b"accept", b"*/*")]


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        (b"kleis_session=1; ory_kratos_session=2", b"ory_kratos_session=2"),
        (b"csrf_token_x=a; kleis_a=1; __Host-kleis_b=2", b"csrf_token_x=a"),
        (b"KLEIS_A=1;b=2", b"b=2"),
        (b"mykleis_a=1", b"mykleis_a=1"),
    ],
)
def test_our_cookies_do_not_reach_ory(cookie, left):
    assert up([(b"cookie", cookie)]) == [(b"cookie", left)]
    assert up([(b"cookie", cookie)], keep_our_cookies=True) == [(b"cookie", cookie)]


def test_a_native_client_with_only_our_cookies_sends_none():
    assert up([(b"cookie", b"kleis_device=1")]) == []


def test_an_api_key_ends_here():
    fields = [(b"authorization", b"Bearer kleis_x"), (b"cookie", b"a=1"), (b"accept", b"*/*")]

    assert up(fields, drop_credentials=True) == [(b"accept", b"*/*")]
    assert (b"authorization", b"Bearer kleis_x") in up(fields)


def test_every_set_cookie_stays_apart():
    answered = [
        (b"Set-Cookie", b"a=1, b"),
        (b"Server", b"x"),
        (b"X-Powered-By", b"y"),
        (b"Set-Cookie", b"c=2"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
    ]

    assert headers.downwards(answered) == [(b"set-cookie", b"a=1, b"), (b"set-cookie", b"c=2")]


@pytest.mark.parametrize("given_id", [b"short", b"a" * 65, b"has space1", b"x\r\ny: 12345", b""])
def test_an_odd_request_id_is_replaced(given_id):
    assert headers.request_id([(b"x-request-id", given_id)]) != given_id.decode()


def test_a_plain_request_id_is_kept_and_two_are_not():
    field = (b"x-request-id", b"3f2a7f2e-8a0b-4a52")

    assert headers.request_id([field]) == "3f2a7f2e-8a0b-4a52"
    assert headers.request_id([field, field]) != "3f2a7f2e-8a0b-4a52"
    assert headers.request_id([]) != headers.request_id([])


def test_too_many_or_too_large_fields_are_noticed():
    assert headers.are_too_large([(b"a", b"b")] * 129)
    assert headers.are_too_large([(b"a", b"b" * 70_000)])
    assert not headers.are_too_large([(b"a", b"b")] * 20)


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html; charset=utf-8", True),
        ("application/json, text/html", False),
        ("*/*", False),
        (None, False),
    ],
)
def test_knows_browsers_by_what_they_ask_for_first(accept, answer):
    assert headers.wants_html(accept) is answer
