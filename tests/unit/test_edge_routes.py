"""Which path goes where, and who may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.flows.outcomes import FlowMessage, error_messages, flow_id_of
from integration.edge.routes import ROUTES, Upstream, find


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/", Upstream.SERVICE),
        ("/login", Upstream.SERVICE),
        ("/api/me", Upstream.SERVICE),
        ("/health/ready", Upstream.SERVICE),
        ("/.well-known/jwks.json", Upstream.SERVICE),
        ("/self-service/login/api", Upstream.KRATOS_PUBLIC),
        ("/sessions", Upstream.KRATOS_PUBLIC),
        ("/sessions/whoami", Upstream.KRATOS_PUBLIC),
        ("/schemas/x", Upstream.KRATOS_PUBLIC),
        ("/.well-known/ory/webauthn.js", Upstream.KRATOS_PUBLIC),
        ("/admin/identities", Upstream.KRATOS_ADMIN),
        ("/admin/identities/x/sessions", Upstream.KRATOS_ADMIN),
        ("/admin/courier/messages", Upstream.KRATOS_ADMIN),
        ("/relation-tuples", Upstream.KETO_READ),
        ("/relation-tuples/check/openapi", Upstream.KETO_READ),
        ("/admin/relation-tuples", Upstream.KETO_WRITE),
        ("/opl/syntax/check", Upstream.KETO_OPL),
    ],
)
def test_each_path_has_its_upstream(path, upstream):
    assert find(path).upstream is upstream


@pytest.mark.parametrize(
    "path",
    [
        "/identities",
        "/courier/messages",
        "/admin",
        "/admin/",
        "/admin/health/ready",
        "/admin/identitiesx",
        "/admin/relation-tuples/x",
        "/relation-tuples/other",
        "/recovery/code",
        "/metrics/prometheus",
        "/version",
        "/self-service",
    ],
)
def test_what_is_not_listed_never_reaches_ory(path):
    assert find(path).upstream is Upstream.SERVICE


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/admin/identities", "identities:read"),
        ("HEAD", "/admin/identities/x", "identities:read"),
        ("POST", "/admin/identities", "identities:write"),
        ("DELETE", "/admin/sessions/x", "identities:write"),
        ("POST", "/admin/recovery/code", "identities:write"),
        ("GET", "/relation-tuples", "permissions:read"),
        ("POST", "/relation-tuples/check", "permissions:read"),
        ("POST", "/relation-tuples/batch/check", "permissions:read"),
        ("POST", "/opl/syntax/check", "permissions:read"),
        ("PUT", "/admin/relation-tuples", "permissions:write"),
        ("DELETE", "/admin/relation-tuples", "permissions:write"),
        ("GET", "/self-service/login/api", None),
        ("POST", "/api/tokens", None),
    ],
)
def test_admin_and_permission_paths_need_a_key(method, path, scope):
    assert find(path).scope(method) == scope


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/admin/identities", "include_credential=password"),
        ("/admin/identities/x", "page_size=1&include%5Fcredential=totp"),
        ("/admin/identities/x", "include_credential"),
        ("/admin/courier/messages", ""),
        ("/admin/courier/messages/x", "page_size=1"),
    ],
)
def test_what_lets_one_become_the_member_is_not_for_readers(path, query):
    assert find(path).scope("GET", query) == "identities:write"


def test_reads_the_error_messages_of_a_flow():
    flow = (
        b'{"ui": {"messages": [{"id": 4000007, "type": "error", "text": "exists"},'
        b'{"id": 1010003, "type": "info"}], "nodes": [{"attributes": {"name": "traits.email"},'
        b'"messages": [{"id": 9400001, "type": "error", "context": {"code": "blocked"}}]}]}}'
    )

    assert error_messages(flow) == (
        FlowMessage(4000007, None, None),
        FlowMessage(9400001, "traits.email", "blocked"),
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"ui": 1}', b'{"error": {"code": 400}}'])
def test_what_is_no_flow_has_no_messages(body):
    assert error_messages(body) is None


def test_a_flow_id_is_a_uuid_or_nothing():
    known = "3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11"

    assert str(flow_id_of(f"flow={known}")) == known
    assert flow_id_of("flow=1' or 1=1") is None
    assert flow_id_of("") is None


paths = st.builds(
    lambda route, more: route.path.removesuffix("*") + more,
    st.sampled_from(ROUTES),
    st.sampled_from(["", "/", "x", "whoami", "/x", "/whoami/x"]),
)


@given(paths)
def test_the_first_line_of_the_table_that_matches_counts(path):
    def matches(route) -> bool:
        is_prefix = route.path.endswith("/*")
        return path.startswith(route.path[:-1]) if is_prefix else path == route.path

    assert find(path) is next(route for route in ROUTES if matches(route))
