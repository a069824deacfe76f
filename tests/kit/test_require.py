"""`require(...)` in FastAPI, in plain ASGI and in Django: the same refusals everywhere."""

import asyncio
import json
import uuid
from typing import Annotated

import httpx
import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from fastapi import Depends, FastAPI

from kleis_client import Member, PermissionClient, asgi
from kleis_client import django as for_django
from kleis_client import fastapi as for_fastapi
from kleis_client.requirements import Requirement
from tests.kit.issuer_double import API_KEY

ADA = str(uuid.uuid4())


@pytest.fixture
def permissions(issuer):
    client = PermissionClient(issuer.url, API_KEY, wait=0.5, timeout=5)
    yield client
    client.close()


@pytest.fixture
def ask(request, issuer, verifier, permissions):
    """Return a function that asks for an address and returns status and body."""
    site = request.param(verifier, permissions)

    def ask(path, *, token=None):
        return site(path, {"Authorization": f"Bearer {token}"} if token else {})

    ask.member = lambda: issuer.token(sub=ADA)
    return ask


def site_in_fastapi(verifier, permissions):
    current_member = for_fastapi.CurrentMember(verifier)
    require = for_fastapi.Require(current_member, permissions)
    app = FastAPI(exception_handlers=for_fastapi.exception_handlers)

    @app.get("/publish")
    def publish(member: Annotated[Member, Depends(require("content.publish"))]) -> str:
        return member.id

    @app.get("/articles/{id}")
    async def edit(
        id: str,  # noqa: A002 - the name in the address
        member: Annotated[Member, Depends(require("edit", on="Content:{id}"))],
    ) -> str:
        return member.id

    return lambda path, headers: ask_asgi(app, path, headers)


def ask_asgi(app, path, headers):
    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get(path, headers=headers)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()


def site_in_asgi(verifier, permissions):
    require = asgi.Require(permissions, parameters=lambda scope: {"id": scope["path"][10:]})

    async def app(scope, _receive, send):
        body = json.dumps(scope["kleis_member"].id).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    publish, edit = require("content.publish")(app), require("edit", on="Content:{id}")(app)

    async def routes(scope, receive, send):
        chosen = publish if scope["path"] == "/publish" else edit
        await chosen(scope, receive, send)

    site = asgi.MemberMiddleware(routes, verifier, required=False)
    return lambda path, headers: ask_asgi(site, path, headers)


def site_in_django(verifier, permissions):
    require = for_django.Require(permissions)

    @require("content.publish")
    def publish(request):
        return HttpResponse(json.dumps(request.kleis_member.id))

    @require("edit", on="Content:{id}")
    def edit(request, id):  # noqa: A002 - the name in the address
        return HttpResponse(json.dumps(request.kleis_member.id))

    def route(request):
        return publish(request) if request.path == "/publish" else edit(request, id=of(request))

    chain = for_django.make_middleware(verifier, required=False)(route)

    def site(path, headers):
        answer = chain(RequestFactory().get(path, headers=headers))
        return answer.status_code, json.loads(answer.content)

    return site


def site_in_async_django(verifier, permissions):
    require = for_django.Require(permissions)

    @require("content.publish")
    async def publish(request):
        return HttpResponse(json.dumps(request.kleis_member.id))

    @require("edit", on="Content:{id}")
    async def edit(request, id):  # noqa: A002 - the name in the address
        return HttpResponse(json.dumps(request.kleis_member.id))

    async def route(request):
        if request.path == "/publish":
            return await publish(request)
        return await edit(request, id=of(request))

    chain = for_django.make_middleware(verifier, required=False)(route)

    def site(path, headers):
        answer = asyncio.run(chain(AsyncRequestFactory().get(path, headers=headers)))
        return answer.status_code, json.loads(answer.content)

    return site


def of(request):
    return request.path.removeprefix("/articles/")


everywhere = pytest.mark.parametrize(
    "ask",
    [site_in_fastapi, site_in_asgi, site_in_django, site_in_async_django],
    indirect=True,
    ids=lambda site: site.__name__,
)


@everywhere
def test_who_may_gets_in_and_who_may_not_is_told_so(issuer, ask):
    status, problem = ask("/publish", token=ask.member())
    assert status == 403
    assert problem == {
        "type": "urn:kleis:problem:permission_denied",
        "title": "Forbidden",
        "status": 403,
        "detail": "This is not permitted.",
    }
    issuer.allowed |= {(ADA, "content.publish", None), (ADA, "edit", "Content:42")}
    assert ask("/articles/42", token=ask.member()) == (200, ADA)
    assert ask("/articles/43", token=ask.member())[0] == 403


@everywhere
def test_who_is_not_known_is_asked_to_log_in_first(issuer, ask):
    status, problem = ask("/publish")
    assert (status, problem["type"]) == (401, "urn:kleis:problem:token_missing")
    assert issuer.bodies == []


@everywhere
def test_where_nobody_can_tell_the_answer_is_no_and_try_again(issuer, ask):
    token = ask.member()
    ask("/publish", token=token)
    issuer.allowed.add((ADA, "edit", "Content:42"))
    issuer.stop()
    status, problem = ask("/articles/42", token=token)
    assert (status, problem["type"]) == (503, "urn:kleis:problem:permission_undecided")


@everywhere
@pytest.mark.parametrize("value", ["*", "42:owner", "a,b", "x" * 129, "42%0a"])
def test_an_address_names_one_object_and_nothing_more(issuer, ask, value):
    issuer.allowed |= {(ADA, "edit", "Content:*"), (ADA, "edit", f"Content:{value}")}
    assert ask(f"/articles/{value}", token=ask.member())[0] == 403
    assert issuer.bodies == []


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("", None),
        ("content publish", None),
        ("edit", "Content"),
        ("edit", "Content:"),
        ("edit", "{kind}:{id}"),
        ("edit", "Content:{id.__class__}"),
        ("edit", "Content:{0}"),
        ("edit", "Content:{}"),
        ("edit", "Content:{id!r}"),
        ("edit", "Content:{id:>99}"),
    ],
)
def test_a_requirement_that_is_none_is_refused_when_it_is_written(permissions, name, on):
    with pytest.raises(ValueError, match=r"name|namespace"):
        Requirement(permissions, name, on)


def test_a_name_that_the_address_lacks_is_a_mistake_and_lets_nobody_in(
    permissions, verifier, issuer
):
    member = verifier.verify(issuer.token(sub=ADA))
    with pytest.raises(LookupError):
        Requirement(permissions, "edit", "Content:{id}").enforce(member, {"article": "42"})


def test_a_session_of_another_kind_is_no_member(permissions):
    require = for_django.Require(permissions)
    view = require("content.publish")(lambda _request: HttpResponse("in"))
    request = RequestFactory().get("/")
    assert view(request).status_code == 401
    request.kleis_member = "ada"
    assert view(request).status_code == 401
