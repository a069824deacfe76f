"""A request may carry several credentials; below `/api/` all of one member.

A browser sends its cookie beside whatever a page sets, and Kratos and we each take another one
first. As long as all are of one member it does not matter who is believed; where they are not,
nobody can tell who was meant, and the request is refused.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from integration.edge.access_tokens import EdgeAccessTokens
from integration.edge.asgi import RawHeaders
from integration.edge.headers import SESSION_FIELDS, session_cookies
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.sessions.current import Sessions
from integration.tokens.access import InvalidTokenError, is_access_token

CONFLICT = Refusal(
    400, "credentials_conflict", "This request comes with credentials of different members."
)
TOO_MANY = Refusal(400, "too_many_credentials", "This request comes with too many credentials.")
_BEARER = b"bearer "
_KEY = b"kleis_"
_CREDENTIALS = SESSION_FIELDS | {b"cookie"}
# Every one may be a question to Kratos.
_MOST = 4


@dataclass(frozen=True, slots=True)
class Credential:
    """One of a request's credentials: the field that would carry it alone."""

    name: bytes
    value: bytes

    @property
    def access_token(self) -> str | None:
        """The token, where this is an access token of ours by its looks."""
        token = self.value[len(_BEARER) :].strip().decode("latin-1")
        return token if self.name == b"authorization" and is_access_token(token) else None


class OneMember:
    """Refuses what comes with credentials of two."""

    def __init__(self, sessions: Sessions, tokens: EdgeAccessTokens) -> None:
        self._sessions = sessions
        self._tokens = tokens

    async def require(self, request: Request) -> None:
        """Return when all credentials that are good are of one member.

        Raises:
            RefusedError: they are not, or nobody can say.
        """
        given = credentials_in(request.headers)
        if len(given) < 2:
            return
        if len(given) > _MOST:
            raise RefusedError(TOO_MANY)
        found = {await self._member(each, request) for each in given} - {None}
        if len(found) > 1:
            raise RefusedError(CONFLICT)

    async def _member(self, given: Credential, request: Request) -> UUID | None:
        """Return whose a credential is; None: nobody's, or of somebody who may have no session."""
        token = given.access_token
        if token is not None:
            try:
                return (await self._tokens.verify(token)).identity_id
            except InvalidTokenError:
                return None
        others = [field for field in request.headers if field[0] not in _CREDENTIALS]
        alone = [*others, (given.name, given.value)]
        session = await self._sessions.of(replace(request, headers=alone))
        return None if session is None else session.identity_id


def credentials_in(fields: RawHeaders) -> list[Credential]:
    """Return everything by which a member could be recognised, each once. API keys are nobody's."""
    found = [
        Credential(name, value)
        for name, value in fields
        if name in SESSION_FIELDS and (name != b"authorization" or _is_of_member(value))
    ]
    found += [Credential(b"cookie", pair) for pair in session_cookies(fields)]
    return list(dict.fromkeys(found))


def _is_of_member(value: bytes) -> bool:
    is_bearer = value[: len(_BEARER)].lower() == _BEARER
    return is_bearer and not value[len(_BEARER) :].strip().lower().startswith(_KEY)
