"""The real edge on a real port, in front of an upstream that behaves badly on purpose."""

import gzip
import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.edge_stage import (
    PATIENCE,
    Upstream,
    ask,
    edge_running,
    free_port,
    last,
    settings_for,
    upstream_running,
)

POLL = "/api/tokens/revocations?wait=25"
FLOW = "/self-service/login?flow=3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with upstream_running() as running:
        yield running


@pytest.fixture(scope="module")
def edge(upstream) -> Iterator[int]:
    with edge_running(settings_for(upstream.port)) as port:
        yield port


# Abuse


@contextmanager
def polling(upstream, addresses) -> Iterator[int]:
    """Hold a poll from each address, at an edge of its own; give its port."""
    before, polls = len(upstream.seen), []
    settings = settings_for(upstream.port, forward_timeout="PT30S", trusted_proxies="127.0.0.0/8")
    with edge_running(settings) as edge:
        for address in addresses:
            polls.append(http.client.HTTPConnection("127.0.0.1", edge, timeout=PATIENCE))
            polls[-1].request("GET", POLL, headers={"X-Forwarded-For": address})
        try:
            # Those that are not held count as well: they are passed on without their wish.
            within(PATIENCE, lambda: len(upstream.seen) >= before + min(128, len(polls)))
            yield edge
        finally:
            for poll in polls:
                poll.close()


def held_since(upstream, before: int) -> int:
    return [seen["target"] for seen in upstream.seen[before:]].count(POLL)


def test_polls_that_are_held_do_not_keep_others_from_the_service(upstream):
    """The edge has 128 connections to one upstream; nobody has to say who it is to poll."""
    before = len(upstream.seen)
    with polling(upstream, [f"192.0.2.{number}" for number in range(140)]) as edge:
        assert ask(edge, "GET", "/api/me").status == 200
        assert held_since(upstream, before) == 64


@pytest.mark.parametrize("one", ["192.0.2.7", "2001:db8:0:1::{}"])
def test_one_client_does_not_take_the_places_of_all_who_poll(upstream, one):
    before = len(upstream.seen)
    mine = [one.format(f"{number:x}") for number in range(40)]
    others = [f"198.51.100.{number}" for number in range(20)]

    with polling(upstream, [*mine, *others]):
        assert held_since(upstream, before) == 16 + 20


def within(seconds, happened):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "target",
    [
        "//admin/identities",
        "/schemas/../admin/identities",
        "/%2e%2e/admin",
        "/admin%2Fidentities",
        "/Admin/identities",
        "/ADMIN/RELATION-TUPLES",
        "/schemas/;x",
        "/sessions/",
    ],
)
def test_another_spelling_of_an_address_reaches_nobody(edge, upstream, target):
    before = len(upstream.seen)

    answer = ask(edge, "GET", target)

    assert answer.status == 400
    assert answer.json()["type"] == "urn:kleis:problem:path_not_canonical"
    assert len(upstream.seen) == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_settings_submit_in_the_address_reaches_nobody(edge, upstream, method):
    before = len(upstream.seen)

    answer = ask(edge, method, "/self-service/settings?flow=x&method=password&password=new")

    assert answer.status == 400
    assert len(upstream.seen) == before
    if method == "GET":
        assert answer.json()["type"] == "urn:kleis:problem:submit_by_get"
        assert answer.json()["error"]["code"] == 400


def test_spoofed_addresses_are_overwritten(edge, upstream):
    spoofed = dict.fromkeys(
        ["True-Client-IP", "X-Forwarded-For", "X-Real-IP", "Cf-Connecting-IP", "Forwarded",
         "X-Forwarded-Host", "X-Forwarded-Proto", "Cf-Ipcity", "X-Kleis-Hook-Secret",
         "X-Original-URL", "X_Forwarded_For"],
        "evil.test",
    )  # fmt: skip

    ask(edge, "GET", "/self-service/login/browser", headers=spoofed)

    assert "evil.test" not in last(upstream).values()
    assert last(upstream)["true-client-ip"] == "127.0.0.1"
    assert last(upstream)["x-forwarded-host"] == "id.example.test"
    assert last(upstream)["x-forwarded-proto"] == "https"


def test_a_trusted_proxy_may_speak_for_its_client(upstream):
    with edge_running(settings_for(upstream.port, trusted_proxies="127.0.0.0/8")) as port:
        ask(port, "GET", "/self-service/login/api", headers={"X-Forwarded-For": "6.6.6.6, 4.4.4.4"})

    assert last(upstream)["true-client-ip"] == "4.4.4.4"


@pytest.mark.parametrize("target", ["/api/things", FLOW])
def test_a_ten_megabyte_body_is_refused_by_its_length(edge, upstream, target):
    before = len(upstream.seen)

    answer = ask(edge, "POST", target, headers=JSON, body=b"x" * 10_000_000)

    assert answer.status == 413
    assert answer.json()["type"] == "urn:kleis:problem:body_too_large"
    assert len(upstream.seen) == before


@pytest.mark.parametrize("target", ["/api/things", FLOW])
def test_an_endless_body_is_refused_while_it_streams(edge, target):
    pieces = [b"x" * 65_536] * 40
    connection = http.client.HTTPConnection("127.0.0.1", edge, timeout=PATIENCE)
    connection.request("POST", target, body=iter(pieces), headers=JSON, encode_chunked=True)

    answer = connection.getresponse()

    assert answer.status == 413
    answer.read()
    connection.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_body"),
        (b'{"a": 1, "a": 2}', "ambiguous_body"),
        (b"[" * 50_000, "malformed_body"),
    ],
)
def test_an_unclear_submit_reaches_nobody(edge, upstream, body, code):
    before = len(upstream.seen)

    answer = ask(edge, "POST", FLOW, headers=JSON, body=body)

    assert answer.status == 400
    assert answer.json()["type"] == f"urn:kleis:problem:{code}"
    assert answer.json()["error"]["code"] == 400
    assert len(upstream.seen) == before


@pytest.mark.parametrize(
    "key", [None, "Bearer rubbish", "Basic eDp5", "Bearer kleis_0_0", "kleis_x"]
)
@pytest.mark.parametrize(
    "target", ["/admin/identities", "/relation-tuples?namespace=x", "/admin/courier/messages"]
)
def test_admin_and_permission_paths_are_closed_without_a_key(edge, upstream, target, key):
    before = len(upstream.seen)

    answer = ask(edge, "GET", target, headers={"Authorization": key} if key else {})

    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer realm="kleis"'
    assert answer.json()["error"]["code"] == 401
    assert len(upstream.seen) == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECTX", "PROPFIND"])
def test_odd_methods_are_refused(edge, method):
    # httptools itself answers 400 to a method it has no name for.
    assert ask(edge, method, "/sessions").status in (400, 405)


def test_a_request_for_no_address_at_all_is_refused(edge, upstream):
    before = len(upstream.seen)

    answer = ask(edge, "OPTIONS", "*")

    assert answer.status == 400
    assert answer.json()["type"] == "urn:kleis:problem:path_not_canonical"
    assert len(upstream.seen) == before


def test_options_is_answered_without_a_key_and_without_ory(edge, upstream):
    before = len(upstream.seen)

    answer = ask(edge, "OPTIONS", "/admin/relation-tuples")

    assert (answer.status, answer.header("allow")) == (204, "PUT, PATCH, DELETE, OPTIONS")
    assert len(upstream.seen) == before


# Without the database


def test_what_needs_the_database_is_refused_without_it(edge):
    key = "Bearer kleis_" + "0" * 16 + "_" + "a" * 43

    answer = ask(edge, "GET", "/admin/identities", headers={"Authorization": key})

    assert answer.status == 503
    assert answer.json()["type"] == "urn:kleis:problem:database_unavailable"
    assert answer.header("retry-after") == "1"


def test_the_rest_works_without_the_database(edge):
    assert ask(edge, "GET", "/login").status == 200
    assert ask(edge, "GET", "/self-service/login/browser").status == 200


# Forwarding


def test_redirects_are_the_clients_to_follow(edge):
    answer = ask(edge, "GET", "/redirect")

    assert (answer.status, answer.header("location")) == (303, "/elsewhere")


def test_an_empty_answer_leaves_the_connection_open_for_the_next_request(edge):
    with closing(http.client.HTTPConnection("127.0.0.1", edge, timeout=5)) as connection:
        connection.connect()
        kept = connection.sock
        for _ in range(3):
            connection.request("GET", "/redirect")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (303, b"")
            assert connection.sock is kept


def test_a_redirect_to_a_private_address_is_not_passed_on(edge):
    assert ask(edge, "GET", "/schemas/inside").status == 404


def test_every_cookie_stays_apart_and_the_server_stays_unnamed(edge):
    answer = ask(edge, "GET", "/cookies")

    cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    assert len(cookies) == 2
    assert answer.header("server") is None
    assert answer.header("x-powered-by") is None
    assert len([name for name, _ in answer.headers if name.lower() == "date"]) == 1


def test_answers_stream(edge, upstream):
    upstream.may_stream_on.clear()
    connection = http.client.HTTPConnection("127.0.0.1", edge, timeout=5)
    try:
        connection.request("GET", "/stream")
        answer = connection.getresponse()

        # There is no more of it yet.
        assert answer.read(1) == b"0"
    finally:
        upstream.may_stream_on.set()
    assert answer.read() == b"12"
    connection.close()


def test_an_answer_that_breaks_off_breaks_off(edge):
    with pytest.raises(http.client.IncompleteRead):
        ask(edge, "GET", "/broken")


def test_packed_bodies_stay_packed(edge):
    assert gzip.decompress(ask(edge, "GET", "/zipped").body) == b"text"


def test_bodies_and_addresses_pass_unchanged(edge, upstream):
    body = bytes(range(256)) * 100

    ask(edge, "PUT", "/api/things/a%20b?x=%2F&y=a+b&y=", body=body)

    assert upstream.seen[-1]["target"] == "/api/things/a%20b?x=%2F&y=a+b&y="
    assert upstream.seen[-1]["body"] == body
    assert last(upstream)["content-length"] == "25600"


def test_a_chunked_body_passes(edge, upstream):
    connection = http.client.HTTPConnection("127.0.0.1", edge, timeout=5)
    connection.request("POST", "/api/x", body=iter([b"one", b"two"]), encode_chunked=True)
    connection.getresponse().read()
    connection.close()

    assert upstream.seen[-1]["body"] == b"onetwo"


def test_our_cookies_reach_the_service_and_not_kratos(edge, upstream):
    cookie = {"Cookie": "kleis_a=1; ory_kratos_session=2"}

    ask(edge, "GET", "/account/settings", headers=cookie)
    assert last(upstream)["cookie"] == "kleis_a=1; ory_kratos_session=2"

    ask(edge, "GET", "/self-service/login/browser", headers=cookie)
    assert last(upstream)["cookie"] == "ory_kratos_session=2"


def test_a_request_id_travels_both_ways(edge, upstream):
    answer = ask(edge, "GET", "/x", headers={"X-Request-Id": "abcdefgh-1"})
    assert answer.header("x-request-id") == "abcdefgh-1"
    assert last(upstream)["x-request-id"] == "abcdefgh-1"

    answer = ask(edge, "GET", "/x", headers={"X-Request-Id": "no good"})
    assert answer.header("x-request-id") == last(upstream)["x-request-id"] != "no good"


def test_nobody_there_is_said_at_once(edge):
    # Whoever waited for one of these would not answer within the patience of `ask`.
    patient = {"connect_timeout": "PT50S", "forward_timeout": "PT50S"}
    with edge_running(settings_for(free_port(), **patient)) as port:
        answer = ask(port, "GET", "/self-service/login/api")

    assert answer.status == 503
    assert answer.header("retry-after") == "1"
    assert answer.json()["error"]["code"] == 503


def test_a_slow_upstream_is_given_up(upstream):
    with edge_running(settings_for(upstream.port, forward_timeout="PT1S")) as port:
        answer = ask(port, "GET", "/slow")

    assert answer.status == 504
    assert answer.json()["type"] == "urn:kleis:problem:upstream_timeout"


def test_a_client_that_leaves_ends_the_call_behind_it(upstream):
    with edge_running(settings_for(upstream.port, forward_timeout="PT20S")) as port:
        upstream.cancelled.clear()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        before = len(upstream.seen)
        connection.request("GET", "/slow")
        while len(upstream.seen) == before:
            time.sleep(0.01)
        connection.close()

        # Of itself it would end only after eight seconds, and not be cancelled.
        assert upstream.cancelled.wait(PATIENCE)


# Kratos' errors


@pytest.mark.parametrize(("method", "target"), [("POST", FLOW), ("GET", "/self-service/login/api")])
def test_internal_errors_are_replaced(edge, method, target):
    body = b'{"method": "password"}' if method == "POST" else None

    answer = ask(edge, method, target, headers=JSON, body=body)

    assert answer.status == 503
    assert answer.json()["error"]["code"] == 503
    assert b"http://" not in answer.body
    assert b"hooks" not in answer.body


def test_a_browser_gets_a_page(edge):
    headers = {"Accept": "text/html,*/*", "Content-Type": "application/x-www-form-urlencoded"}

    answer = ask(edge, "POST", FLOW, headers=headers, body=b"method=password")

    assert answer.status == 503
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert b"<h1>" in answer.body
    assert b"http://" not in answer.body


def test_the_error_page_gets_no_internals(edge):
    answer = ask(edge, "GET", "/self-service/errors?id=x")

    assert answer.status == 200
    assert b"http://" not in answer.body


def test_what_kratos_means_for_clients_passes(edge):
    answer = ask(edge, "GET", "/sessions")

    assert answer.status == 403
    assert answer.json()["error"]["id"] == "session_aal2_required"
    assert answer.json()["redirect_browser_to"] == "x"


def test_a_recovery_link_needs_a_click(edge, upstream):
    before = len(upstream.seen)

    answer = ask(edge, "GET", "/self-service/recovery?flow=x&token=y")

    assert answer.status == 200
    assert b'<form method="post">' in answer.body
    assert len(upstream.seen) == before

    ask(edge, "POST", "/self-service/recovery?flow=x&token=y", body=b"")
    assert upstream.seen[-1]["target"] == "/self-service/recovery?flow=x&token=y"
