"""Answers of Kratos that break its clients. The shapes are recorded of v1.3.1."""

import json

import pytest

from integration.edge.asgi import Answer
from integration.edge.flows import repairs
from integration.edge.requests import Request

JSON = (b"content-type", b"application/json; charset=utf-8")
CSRF = (b"set-cookie", b"csrf_token_x=1; Path=/")
CALLBACK = "/self-service/methods/oidc/callback/google"
FLOWS = "/self-service/login/flows"


def request(path: str, *headers: tuple[bytes, bytes]) -> Request:
    return Request("GET", path, "", list(headers), "127.0.0.1", "id", None)


def answer(document: object, *headers: tuple[bytes, bytes]) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(200, [JSON, *headers], body)


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def test_two_documents_become_the_first():
    flow = compact({"id": "1", "ui": {"nodes": [], "text": '}{"'}})
    error = b'{"error":{"code":500,"message":"flow response completed by strategy"}}\n'

    repaired = repairs.of_self_service(request(CALLBACK), answer(flow + b"\n" + error))

    assert repaired.body == flow


def test_a_null_among_nodes_becomes_a_list():
    flow = compact({"id": "1", "type": "api", "ui": {"nodes": None, "messages": [{"id": 1010004}]}})

    repaired = repairs.of_self_service(request("/self-service/login/api"), answer(flow))

    assert json.loads(repaired.body)["ui"]["nodes"] == []


@pytest.mark.parametrize("document", [{"ui": {"nodes": [{"nodes": None}]}}, {"nodes": None}, []])
def test_other_nulls_stay(document):
    body = compact(document)

    assert repairs.of_self_service(request(FLOWS), answer(body)).body == body


@pytest.mark.parametrize(
    ("kind", "cookies", "kept"),
    [
        ("api", (), False),
        ("api", ((b"cookie", b"kleis_device=1"),), False),
        ("api", ((b"cookie", b"csrf_token_x=1"),), True),
        ("browser", (), True),
    ],
)
def test_a_native_client_gets_no_cookie(kind, cookies, kept):
    given = answer(compact({"id": "1", "type": kind}), CSRF)

    repaired = repairs.of_self_service(request(FLOWS, *cookies), given)

    assert (CSRF in repaired.headers) is kept


def test_pages_pass_as_they_are():
    page = Answer(200, [(b"content-type", b"text/html"), CSRF], b'{"type":"api"}')

    assert repairs.of_self_service(request(FLOWS), page) is page


@pytest.mark.parametrize("path", ["/identities/1", "/admin/identities/1"])
def test_a_new_identity_is_found_at_its_location(path):
    made = Answer(201, [(b"location", b"http://kratos.internal:4434" + path.encode())], b"{}")

    repaired = repairs.of_creation(made, "https://id.example.test/")

    assert repaired.headers == [(b"location", b"https://id.example.test/admin/identities/1")]
