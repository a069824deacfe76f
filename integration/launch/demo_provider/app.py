"""The demo provider over HTTP."""

from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from jinja2 import Environment
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

from integration.launch.demo_provider.keys import ALGORITHMS
from integration.launch.demo_provider.provider import (
    DemoProvider,
    InvalidClientError,
    InvalidGrantError,
)

_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Demo provider, not Kleis</title>
<link rel="icon" href="data:,">
<main><h1>Demo provider</h1>
<p>This stands for Google and the like, to try things out: anybody can be anybody here.</p>
<form method="get" action="authorize">
{% for name, value in query %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}
{% for subject, claims in people %}
<p><button name="login_hint" value="{{ subject }}">Continue as {{ claims.name or subject }}</button>
{{ claims.email or "no address" }}
{%- if claims.email and not claims.email_verified %}, not verified{% endif %}</p>
{% endfor %}
<p><button name="refuse" value="yes">Cancel</button></p>
</form></main></html>
""")
_NO_STORE = {"Cache-Control": "no-store"}


class TokenForm(BaseModel):
    """What the token endpoint is sent (RFC 6749, section 4.1.3)."""

    code: str = ""
    redirect_uri: str = ""
    code_verifier: str = ""
    client_id: str = ""
    client_secret: str = ""


def make_app(provider: DemoProvider) -> FastAPI:
    """Serve one provider."""
    app = FastAPI(title="Demo OpenID provider", docs_url=None, redoc_url=None, openapi_url=None)
    # A page of somebody else, under a name that leads here, is not to add people.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    endpoints = _Endpoints(provider)
    app.add_api_route("/.well-known/openid-configuration", endpoints.configuration)
    app.add_api_route("/jwks", endpoints.jwks)
    app.add_api_route("/authorize", endpoints.authorize)
    app.add_api_route("/token", endpoints.token, methods=["POST"])
    app.add_api_route("/userinfo", endpoints.userinfo)
    app.add_api_route("/people/{subject}", endpoints.put_person, methods=["PUT"], status_code=204)
    return app


class _Endpoints:
    def __init__(self, provider: DemoProvider) -> None:
        self._provider = provider

    def configuration(self) -> dict[str, Any]:
        issuer = self._provider.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def jwks(self) -> dict[str, Any]:
        return self._provider.keys.published()

    def authorize(self, request: Request) -> Response:
        query = request.query_params
        try:
            self._provider.check_client(query)
        except InvalidClientError:
            return HTMLResponse("Unknown client, or not an address of it.", 400)
        back = self._provider.answer(query)
        if back is not None:
            return RedirectResponse(back, 303, _NO_STORE)
        shown = _PAGE.render(query=query.items(), people=self._provider.people.items())
        return HTMLResponse(shown, headers=_NO_STORE)

    def token(
        self,
        form: Annotated[TokenForm, Form()],
        basic: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))],
    ) -> Response:
        client_id, client_secret = form.client_id, form.client_secret
        if basic is not None:
            # RFC 6749, section 2.3.1: both are encoded as in a form.
            client_id, client_secret = unquote_plus(basic.username), unquote_plus(basic.password)
        try:
            issued = self._provider.tokens(
                client_id,
                client_secret,
                code=form.code,
                redirect_uri=form.redirect_uri,
                verifier=form.code_verifier,
            )
        except InvalidClientError:
            headers = {**_NO_STORE, "WWW-Authenticate": "Basic"}
            return JSONResponse({"error": "invalid_client"}, 401, headers)
        except InvalidGrantError:
            return JSONResponse({"error": "invalid_grant"}, 400, _NO_STORE)
        return JSONResponse(issued, headers=_NO_STORE)

    def userinfo(self, request: Request) -> Response:
        scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
        claims = self._provider.userinfo(access_token) if scheme.lower() == "bearer" else None
        if claims is None:
            return JSONResponse({"error": "invalid_token"}, 401, {"WWW-Authenticate": "Bearer"})
        return JSONResponse(claims, headers=_NO_STORE)

    def put_person(self, subject: str, claims: dict[str, Any]) -> None:
        """Make somebody known, or change what is said of them: for tests and demos."""
        self._provider.people[subject] = claims
