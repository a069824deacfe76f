"""Whose session a request comes with: Kratos knows the credential, our tables what it is worth.

For `whoami` and for everybody who must know who is asking (forward-auth, second-factor flows):
`Sessions.of`. Remembered answers: `session_cache.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from integration.countries import Countries
from integration.edge.asgi import Answer, header
from integration.edge.flows.login_attempts import bounded
from integration.edge.forwarding import Forwarder
from integration.edge.problems import UPSTREAM_BROKEN, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.sessions.activity import Activity
from integration.edge.sessions.cache import SessionCache, credential_key
from integration.edge.sessions.known_session import KnownSession, ShownSession, read_session
from integration.edge.sessions.member_status import IDENTITY_HEADER
from integration.edge.sessions.rows import Beginning, SessionRows
from integration.edge.sessions.standings import SessionStanding, SessionStandings
from integration.settings import Settings
from policies import sessions, step_up
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login

log = structlog.get_logger()

_PATH = "/sessions/whoami"
# Kratos counts nanoseconds, PostgreSQL microseconds.
_SAME_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a request's session.

    Attributes:
        answer: Kratos' own to `whoami`.
        known: None: there is no session, or its member may not have one.
    """

    answer: Answer
    known: KnownSession | None


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """Looks sessions up, from memory where that is as good as asking."""

    def __init__(
        self,
        settings: Settings,
        *,
        forwarder: Forwarder,
        standings: SessionStandings,
        rows: SessionRows,
        cache: SessionCache,
        activity: Activity,
        countries: Countries,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._max_age = settings.session_max_age
        self._idle = settings.idle_after
        self._roles = settings.second_factor_roles
        self._forwarder = forwarder
        self._standings = standings
        self._rows = rows
        self._cache = cache
        self._activity = activity
        self._countries = countries
        self._now = now

    async def of(self, request: Request) -> KnownSession | None:
        """Return the session a request comes with; None: none, or its member may not have one.

        A held session is returned with `is_held`: whoever asks must let it do nothing but prove
        a second factor.

        Raises:
            RefusedError: Kratos or the database does not answer.
        """
        return (await self.look(request)).known

    async def look(self, request: Request, query: str = "") -> Look:
        """Return Kratos' answer to `whoami` with these credentials, and what it is worth.

        Args:
            query: Of `whoami`; with one, nothing is remembered.

        Raises:
            RefusedError: as `of`.
        """
        key = None if query else credential_key(request.headers)
        entry = None if key is None else self._cache.get(key)
        if entry is not None:
            return Look(entry.answer, entry.known)
        asked = self._cache.asking()
        answer = await self._forwarder.fetch(Upstream.KRATOS_PUBLIC, _PATH, query, request)
        if answer.status >= 500:
            raise RefusedError(UPSTREAM_BROKEN)
        if answer.status != 200:
            return Look(answer, None)
        shown = read_session(header(answer.headers, IDENTITY_HEADER), answer.body)
        if shown is None:
            raise RefusedError(UPSTREAM_BROKEN)
        known = await self._known(shown, request)
        if known is not None:
            self._activity.seen(known.session_id)
            if key is not None:
                self._cache.put(key, known, answer, asked)
        return Look(answer, known)

    def forget(self, identity_id: UUID) -> None:
        """Drop what this edge remembers of a member, without waiting to be told."""
        self._cache.forget(identity_id)

    async def _known(self, shown: ShownSession, request: Request) -> KnownSession | None:
        standing = await self._standings.of(shown.session_id, shown.identity_id)
        if standing is not None and _is_behind(standing, shown):
            # What has no row nobody could hold, and nobody would be told of its end.
            await self._rows.begin(beginning(shown, request, self._countries))
            standing = await self._standings.of(shown.session_id, shown.identity_id)
        if standing is None or standing.has_ended or not _may_log_in(standing.status):
            return None
        expires_at = sessions.last_moment(
            standing.started_at or shown.authenticated_at, shown.expires_at, self._max_age
        )
        now = self._now()
        if expires_at <= now or await self._was_left_alone(shown, standing, now):
            return None
        return KnownSession(
            session_id=shown.session_id,
            identity_id=shown.identity_id,
            aal=shown.aal,
            authenticated_at=shown.authenticated_at,
            expires_at=expires_at,
            methods=shown.methods,
            status=standing.status,
            role=standing.role,
            hold=standing.hold,
            is_held=step_up.needs_second_factor(_standing(shown, standing), self._roles),
            has_second_factor=standing.has_second_factor,
        )

    async def _was_left_alone(
        self, shown: ShownSession, standing: SessionStanding, now: datetime
    ) -> bool:
        """Tell whether a session is over for want of use, and end it then."""
        last = standing.last_activity_at
        if last is None or self._activity.is_used(shown.session_id):
            return False
        last = max(last, shown.authenticated_at)
        if not sessions.is_idle(last, now, self._idle):
            return False
        try:
            await self._rows.end_at_kratos(shown.session_id, reason="idle")
        except RefusedError:
            log.warning("idle_session_not_ended")
        return True


def _standing(shown: ShownSession, standing: SessionStanding) -> step_up.Standing:
    return step_up.Standing(
        aal=shown.aal,
        hold=standing.hold,
        has_second_factor=standing.has_second_factor,
        requires_second_factor=standing.requires_second_factor,
        role=standing.role,
    )


def beginning(shown: ShownSession, request: Request, countries: Countries) -> Beginning:
    """Return the row of a session that is first seen in use, or as a login just gave it."""
    address = request.client_address
    return Beginning(
        session_id=shown.session_id,
        identity_id=shown.identity_id,
        authenticated_at=shown.authenticated_at,
        expires_at=shown.expires_at,
        methods=shown.methods,
        aal=shown.aal,
        device_id=None,
        address=address,
        user_agent=bounded(request.header(b"user-agent") or ""),
        country=countries.of(address),
        hold=step_up.hold_after_recovery(shown.methods),
        releases=False,
    )


def _is_behind(standing: SessionStanding, shown: ShownSession) -> bool:
    """Tell whether there is no row yet, or Kratos was told past us to let the session last."""
    row = standing.expires_at
    return row is None or (not standing.has_ended and shown.expires_at - row > _SAME_MOMENT)


def _may_log_in(status: str) -> bool:
    return not isinstance(decide_login(Status(status)), Deny)
