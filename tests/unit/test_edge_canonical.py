"""Which addresses the edge refuses before anything else looks at them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.canonical import is_recovery_link, path_fault, query_fault
from integration.edge.routes import is_misspelt

FLOWS = ["login", "registration", "settings", "recovery", "verification"]


@pytest.mark.parametrize(
    "raw_path",
    [
        b"//admin/identities",
        b"/self-service//settings",
        b"/./admin/identities",
        b"/schemas/../admin/identities",
        b"/schemas/..",
        b"/.",
        b"/admin%2Fidentities",
        b"/admin%2fidentities",
        b"/schemas/%2e%2e/admin",
        b"/%61dmin/identities",
        b"/schemas%5C..%5Cadmin",
        b"/schemas\\..\\admin",
        b"/admin;x=1/identities",
        b"/admin/identities%3B",
        b"/schemas/%00",
        b"/schemas/%0d%0aX:1",
        b"/schemas/\x00",
        b"/schemas/\x7f",
        b"/schemas/a b",
        b"/schemas/%252e%252e",
        b"/schemas/%",
        b"/schemas/%zz",
        b"/schemas/%ff%fe",
        b"/schemas/\xc3\xa9",
        b"*",
        b"",
        b"admin/identities",
        b"/" + b"a" * 9000,
    ],
)
def test_refuses_every_other_spelling(raw_path):
    fault = path_fault(raw_path)

    assert fault is not None
    assert (fault.status, fault.code) == (400, "path_not_canonical")


@pytest.mark.parametrize(
    "raw_path",
    [
        b"/",
        b"/login",
        b"/self-service/login/browser",
        b"/admin/identities/3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11",
        b"/.well-known/ory/webauthn.js",
        b"/.well-known/jwks.json",
        b"/schemas/cGVyc29u",
        b"/api/profiles/j%C3%BCrgen",
        b"/static/style.css",
        b"/api/search%20me",
        b"/a/..b",
    ],
)
def test_lets_the_plain_spelling_through(raw_path):
    assert path_fault(raw_path) is None
    assert not is_misspelt(raw_path.decode())


@pytest.mark.parametrize(
    "path",
    [
        "/Admin/identities",
        "/ADMIN/RELATION-TUPLES",
        "/Sessions/whoami",
        "/SELF-SERVICE/settings",
        "/relation-tuples/Check",
        "/admin/identities/",
        "/sessions/",
        "/sessions/whoami/",
        "/relation-tuples/",
        "/self-service/settings/",
    ],
)
def test_refuses_ory_paths_in_another_case_or_with_a_slash_at_the_end(path):
    assert is_misspelt(path)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    "query",
    [
        "flow=x&method=password&password=secret",
        "method=profile",
        "flow=x&csrf_token=y",
        "flow=x&%6dethod=password",
        "flow=x;method=password",
        "flow=x&traits.email=a%40b.test",
        "flow=x&transient_payload=1",
        "flow=x&METHOD=password",
        "flow=x&return_to=/",
    ],
)
def test_refuses_a_submit_in_the_address(flow, query):
    fault = query_fault(f"/self-service/{flow}", query)

    assert fault is not None
    assert (fault.status, fault.code) == (400, "submit_by_get")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/self-service/login/browser", "return_to=%2Fhome&refresh=true&aal=aal2"),
        ("/self-service/login/api", "return_session_token_exchange_code=true&return_to=x"),
        ("/self-service/registration/browser", "after_verification_return_to=%2F"),
        ("/self-service/settings/flows", "id=x"),
        ("/self-service/settings", "flow=x"),
        ("/self-service/verification", "flow=x&code=123456"),
        ("/self-service/recovery", "flow=x&token=y"),
        ("/self-service/logout", "token=x&return_to=%2F"),
        ("/self-service/errors", "id=x"),
        ("/self-service/methods/oidc/callback/google", "code=x&state=y&scope=z&authuser=0"),
        ("/admin/identities", "page_size=10&credentials_identifier=a"),
        ("/self-service/login", ""),
    ],
)
def test_lets_starts_fetches_and_submits_through(path, query):
    assert query_fault(path, query) is None


def test_refuses_a_name_that_appears_twice():
    fault = query_fault("/self-service/login", "flow=x&flow=y")

    assert fault is not None
    assert fault.code == "ambiguous_query"


def test_knows_a_recovery_link():
    assert is_recovery_link("/self-service/recovery", "flow=x&token=y")
    assert is_recovery_link("/self-service/recovery", "%74oken=y")
    assert not is_recovery_link("/self-service/recovery", "flow=x")
    assert not is_recovery_link("/self-service/logout", "token=x")


@given(st.binary(max_size=60))
def test_never_raises_and_passes_only_one_spelling(raw_path):
    if path_fault(raw_path) is None:
        text = raw_path.decode("ascii")
        assert text.startswith("/")
        assert "//" not in text
        assert "\\" not in text
        assert not {"..", "."} & set(text.split("/"))


@given(st.text(max_size=60), st.text(max_size=60))
def test_reading_a_query_never_raises(path, query):
    query_fault(f"/self-service/{path}", query)
