"""Which member a request comes from: by its session, or by an access token of ours.

A token is only as good as its session: our tables are asked every time.
"""

from dataclasses import dataclass

from integration.edge.access_tokens import EdgeAccessTokens
from integration.edge.database import Database
from integration.edge.requests import Request
from integration.edge.sessions.current import Sessions
from integration.settings import Settings
from integration.tokens.access import InvalidTokenError, is_access_token
from policies import step_up
from policies.access_claims import is_outdated
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login

_BEARER = "bearer "
_STATEMENT = """
SELECT members.status, members.role, members.role_changed_at, members.second_factor,
    members.requires_second_factor, known.aal, known.hold
FROM member_sessions AS known JOIN members ON members.identity_id = known.identity_id
WHERE known.session_id = %s AND known.identity_id = %s
    AND known.ended_at IS NULL AND known.expires_at > now()
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A member who may have a session.

    Attributes:
        id: The identity's, as subjects are written.
        is_held: A second factor is needed first; nothing else may be answered.
    """

    id: str
    role: str
    status: str
    is_held: bool


class People:
    """Finds out."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        sessions: Sessions,
        tokens: EdgeAccessTokens,
    ) -> None:
        self._second_factor_roles = settings.second_factor_roles
        self._database = database
        self._sessions = sessions
        self._tokens = tokens

    async def of(self, request: Request) -> Person | None:
        """Return who it is; None: nobody, or somebody who may have no session.

        Raises:
            RefusedError: Kratos or the database does not answer.
        """
        given = [value for name, value in request.headers if name == b"authorization"]
        bearer = given[0].decode("latin-1") if len(given) == 1 else ""
        token = bearer[len(_BEARER) :].strip() if bearer.lower().startswith(_BEARER) else ""
        if is_access_token(token):
            return await self._by_token(token)
        session = await self._sessions.of(request)
        if session is None:
            return None
        return Person(str(session.identity_id), session.role, session.status, session.is_held)

    async def _by_token(self, token: str) -> Person | None:
        try:
            claims = await self._tokens.verify(token)
        except InvalidTokenError:
            return None
        row = await self._database.row(_STATEMENT, (claims.session_id, claims.identity_id))
        if row is None:
            return None
        status, role, role_changed_at, has_factor, wants_factor, aal, hold = row
        if isinstance(decide_login(Status(status)), Deny) or is_outdated(
            roles=claims.roles,
            issued_at=claims.issued_at,
            role=role,
            role_changed_at=role_changed_at,
        ):
            return None
        standing = step_up.Standing(
            aal=aal,
            hold=hold,
            has_second_factor=has_factor,
            requires_second_factor=wants_factor,
            role=role,
        )
        is_held = step_up.needs_second_factor(standing, self._second_factor_roles)
        return Person(str(claims.identity_id), role, status, is_held)
