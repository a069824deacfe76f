"""The kit in FastAPI, in plain ASGI and in Django: who is let in, and what a refusal looks like."""

import asyncio
import inspect
import json
from typing import Annotated

import httpx
import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from fastapi import Depends, FastAPI

from kleis_client import Member, errors
from kleis_client.asgi import MemberMiddleware
from kleis_client.django import make_middleware
from kleis_client.fastapi import CurrentMember, exception_handlers
from kleis_client.problems import problem_of


def with_fastapi(verifier, **_):
    current_member = CurrentMember(verifier)
    app = FastAPI(exception_handlers=exception_handlers)

    @app.get("/me")
    async def me(member: Annotated[Member, Depends(current_member)]) -> str:
        return member.id

    return lambda headers: ask_asgi(app, headers)


def with_asgi(verifier, **options):
    async def app(scope, _receive, send):
        member = scope["kleis_member"]
        body = json.dumps(member.id if member else None).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    wrapped = MemberMiddleware(app, verifier, **options)
    return lambda headers: ask_asgi(wrapped, headers)


def ask_asgi(app, headers):
    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get("/me", headers=headers)

    answer = asyncio.run(ask())
    return answer.status_code, answer.headers, answer.json()


def id_of(request):
    return HttpResponse(json.dumps(request.kleis_member.id if request.kleis_member else None))


def as_django(headers):
    given = headers.items() if isinstance(headers, dict) else headers
    return {f"HTTP_{name.upper()}": value for name, value in given}


def with_django(verifier, **options):
    chain = make_middleware(verifier, **options)(id_of)
    assert not inspect.iscoroutinefunction(chain)

    def ask(headers):
        answer = chain(RequestFactory().get("/me", **as_django(headers)))
        return answer.status_code, answer.headers, json.loads(answer.content)

    return ask


def with_async_django(verifier, **options):
    async def view(request):
        return id_of(request)

    chain = make_middleware(verifier, **options)(view)
    assert inspect.iscoroutinefunction(chain)

    def ask(headers):
        request = AsyncRequestFactory().get("/me", headers=dict(headers))
        answer = asyncio.run(chain(request))
        return answer.status_code, answer.headers, json.loads(answer.content)

    return ask


MIDDLEWARES = [with_asgi, with_django, with_async_django]
everywhere = pytest.mark.parametrize("way", [with_fastapi, *MIDDLEWARES])


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@everywhere
def test_a_member_gets_in(issuer, verifier, way):
    claims = issuer.claims()
    status, _, body = way(verifier)(bearer(issuer.keys[0].sign(claims)))
    assert (status, body) == (200, claims["sub"])


@everywhere
def test_without_a_token_the_answer_asks_for_one(verifier, way):
    status, headers, body = way(verifier)({})
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert body == {
        "type": "urn:kleis:problem:token_missing",
        "title": "Unauthorized",
        "status": 401,
        "detail": "An access token is required.",
    }


@everywhere
def test_a_token_that_does_not_count_is_told_so_without_the_reason(issuer, verifier, way):
    status, headers, body = way(verifier)(bearer(issuer.token(aud="another-shop")))
    assert status == 401
    assert headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert body["type"] == "urn:kleis:problem:token_invalid"
    assert "audience" not in json.dumps(body)


@everywhere
def test_a_token_of_an_ended_session_is_told_so(issuer, make_verifier, feed, way):
    claims = issuer.claims()
    issuer.revoke(claims["sid"])
    ask = way(make_verifier(revocations=feed))
    status, headers, body = ask(bearer(issuer.keys[0].sign(claims)))
    assert status == 401
    assert 'error="invalid_token"' in headers["www-authenticate"]
    assert body["type"] == "urn:kleis:problem:token_revoked"


@everywhere
def test_where_nobody_can_tell_the_answer_is_no_and_try_again(issuer, make_verifier, way):
    token = issuer.token()
    issuer.stop()
    status, headers, body = way(make_verifier())(bearer(token))
    assert status == 503
    assert headers["retry-after"] == "1"
    assert body["type"] == "urn:kleis:problem:keys_unavailable"


@pytest.mark.parametrize("way", [with_fastapi, with_asgi])
def test_two_tokens_in_one_request_are_none(issuer, verifier, way):
    twice = [("authorization", f"Bearer {issuer.token()}") for _ in range(2)]
    status, _, body = way(verifier)(twice)
    assert (status, body["type"]) == (401, "urn:kleis:problem:token_invalid")


@pytest.mark.parametrize("way", MIDDLEWARES)
def test_where_none_is_required_a_request_without_token_goes_on_but_a_bad_token_does_not(
    issuer, verifier, way
):
    ask = way(verifier, required=False)
    assert ask({})[::2] == (200, None)
    assert ask(bearer("not.a.token"))[0] == 401
    claims = issuer.claims()
    assert ask(bearer(issuer.keys[0].sign(claims)))[2] == claims["sub"]


@pytest.mark.parametrize("way", MIDDLEWARES)
def test_only_the_very_path_is_public(verifier, way):
    assert way(verifier, public=["/me"])({})[0] == 200
    assert way(verifier, public=["/m", "/me/", "/"])({})[0] == 401


def test_without_our_handler_fastapi_still_answers_with_a_problem(verifier):
    current_member = CurrentMember(verifier)
    app = FastAPI()

    @app.get("/me", dependencies=[Depends(current_member)])
    async def me() -> None: ...

    status, headers, body = ask_asgi(app, {})
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert headers["content-type"] == "application/problem+json"
    assert body == {"detail": "An access token is required."}


def test_fastapi_describes_the_token_in_the_api(verifier):
    current_member = CurrentMember(verifier)
    app = FastAPI()

    @app.get("/me", dependencies=[Depends(current_member)])
    async def me() -> None: ...

    described = app.openapi()
    assert described["paths"]["/me"]["get"]["security"] == [{"AccessToken": []}]
    assert described["components"]["securitySchemes"]["AccessToken"]["bearerFormat"] == "JWT"


async def sent_to_a_websocket(app, headers, extensions):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": headers, "extensions": extensions}
    await app(scope, receive, send)
    return sent


def test_a_websocket_without_a_token_is_refused_before_it_opens(issuer, verifier):
    async def greet(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "subprotocol": scope["kleis_member"].id})

    app = MemberMiddleware(greet, verifier)
    claims = issuer.claims()
    header = (b"authorization", f"Bearer {issuer.keys[0].sign(claims)}".encode())
    opened = asyncio.run(sent_to_a_websocket(app, [header], {}))
    assert opened == [{"type": "websocket.accept", "subprotocol": claims["sub"]}]
    closed = asyncio.run(sent_to_a_websocket(app, [], {}))
    assert closed == [{"type": "websocket.close", "code": 1008}]
    answered = asyncio.run(sent_to_a_websocket(app, [], {"websocket.http.response": {}}))
    assert [message["type"] for message in answered] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert answered[0]["status"] == 401


def test_every_error_has_an_answer_and_none_tells_more_than_its_sentence():
    made = [
        errors.TokenMissingError(),
        errors.TokenInvalidError("audience"),
        errors.TokenExpiredError(),
        errors.TokenRevokedError(),
        errors.PermissionDeniedError("missing"),
        errors.KeysUnavailableError(),
        errors.RevocationsUnknownError(),
        errors.PermissionUndecidedError(),
    ]
    assert [problem_of(error).status for error in made] == [401] * 4 + [403] + [503] * 3
    for error in made:
        body = json.loads(problem_of(error).body)
        assert body["type"] == f"urn:kleis:problem:{error.code}"
        assert body["detail"] == error.args[0]
    assert problem_of(errors.IssuerError("at 10.0.0.7")).status == 500
    assert b"10.0.0.7" not in problem_of(errors.IssuerError("at 10.0.0.7")).body
