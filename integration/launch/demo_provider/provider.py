"""What the demo provider decides: who gets a code, and what a code is worth."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from integration.launch.demo_provider.keys import Keys
from integration.launch.demo_provider.people import Claims, claims_in, subject_for

CODE_SECONDS = 60
TOKEN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Client:
    """Whom the provider signs people in for; sent back to these addresses and no others."""

    id: str
    secret: str
    redirect_uris: frozenset[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for, once."""

    client_id: str
    redirect_uri: str
    subject: str
    nonce: str
    challenge: str
    scope: str
    until: float


class InvalidClientError(Exception):
    """Unknown client, wrong secret, or an address that is not registered."""


class InvalidGrantError(Exception):
    """Unknown, used or late code, or not the one who asked for it."""


class DemoProvider:
    """One issuer.

    Args:
        people: Claims by subject; may grow while it runs.
        algorithm: Of id tokens.
        twist: Changes the claims of an id token before it is signed: tests of what must not pass.
    """

    def __init__(
        self,
        issuer: str,
        client: Client,
        people: Mapping[str, Claims],
        *,
        algorithm: str = "RS256",
        twist: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> None:
        self.issuer = issuer
        self.people = dict(people)
        self.keys = Keys()
        self.algorithm = algorithm
        self.twist = twist
        self._client = client
        self._grants: dict[str, Grant] = {}

    def check_client(self, query: Mapping[str, str]) -> None:
        """Make sure that an answer may be sent to where `query` wants it.

        Raises:
            InvalidClientError: it may not; the person must not be sent there.
        """
        known = self._client.id == query.get("client_id")
        if not known or query.get("redirect_uri") not in self._client.redirect_uris:
            raise InvalidClientError

    def answer(self, query: Mapping[str, str]) -> str | None:
        """Return where the person goes back to; None: it must be asked who it is.

        Args:
            query: Of the authorization request, its client checked; `login_hint` signs somebody
                in without a page, `refuse` is what the page's other button sends.
        """
        if query.get("response_type") != "code":
            return self._back(query, error="unsupported_response_type")
        if "openid" not in query.get("scope", "").split():
            return self._back(query, error="invalid_scope")
        if "code_challenge" in query and query.get("code_challenge_method") != "S256":
            return self._back(query, error="invalid_request")
        if "refuse" in query:
            said = "The person said no."
            return self._back(query, error="access_denied", error_description=said)
        subject = subject_for(self.people, query.get("login_hint", ""))
        if subject is not None:
            return self._back(query, code=self._granted(query, subject))
        return self._back(query, error="login_required") if query.get("prompt") == "none" else None

    def tokens(
        self, client_id: str, secret: str, *, code: str, redirect_uri: str, verifier: str
    ) -> dict[str, Any]:
        """Return the answer of the token endpoint.

        Raises:
            InvalidClientError, InvalidGrantError
        """
        known = hmac.compare_digest(client_id.encode(), self._client.id.encode())
        if not hmac.compare_digest(secret.encode(), self._client.secret.encode()) or not known:
            raise InvalidClientError
        grant = self._grants.pop(code, None)
        if grant is None or grant.until < time.time() or grant.redirect_uri != redirect_uri:
            raise InvalidGrantError
        if grant.challenge and not hmac.compare_digest(_challenge(verifier), grant.challenge):
            raise InvalidGrantError
        return self._tokens_of(grant)

    def userinfo(self, access_token: str) -> dict[str, Any] | None:
        """Return the claims an access token opens; None: it is not good."""
        claims = self.keys.read_access_token(access_token, self.issuer)
        if claims is None or claims["sub"] not in self.people:
            return None
        about = claims_in(self.people[claims["sub"]], claims["scope"])
        return {"sub": claims["sub"], **about}

    def _granted(self, query: Mapping[str, str], subject: str) -> str:
        now = time.time()
        self._grants = {code: each for code, each in self._grants.items() if each.until > now}
        code = secrets.token_urlsafe(24)
        self._grants[code] = Grant(
            client_id=query["client_id"],
            redirect_uri=query["redirect_uri"],
            subject=subject,
            nonce=query.get("nonce", ""),
            challenge=query.get("code_challenge", ""),
            scope=query["scope"],
            until=now + CODE_SECONDS,
        )
        return code

    def _tokens_of(self, grant: Grant) -> dict[str, Any]:
        now = int(time.time())
        common = {"iss": self.issuer, "sub": grant.subject, "iat": now, "exp": now + TOKEN_SECONDS}
        about = claims_in(self.people.get(grant.subject, {}), grant.scope)
        nonce = {"nonce": grant.nonce} if grant.nonce else {}
        id_token = {**about, **common, **nonce, "aud": grant.client_id}
        access = {**common, "aud": f"{self.issuer}/userinfo", "scope": grant.scope}
        return {
            "access_token": self.keys.sign(access, "RS256"),
            "id_token": self.keys.sign(self.twist(id_token), self.algorithm),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": grant.scope,
        }

    def _back(self, query: Mapping[str, str], **answer: str) -> str:
        state = {"state": query["state"]} if "state" in query else {}
        return f"{query['redirect_uri']}?{urlencode({**answer, **state, 'iss': self.issuer})}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
