"""What our tables say of a session and its member: the answer is never older than its question.

Whoever asks while a statement is under way shares the next one.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from integration.edge.database import Database
from integration.edge.problems import DATABASE_DOWN, RefusedError

# A session whose row says `expired` is over when Kratos says so: somebody may have extended it.
_STATEMENT = """
SELECT asked.session_id, members.status, members.role, members.second_factor,
    members.requires_second_factor, known.hold,
    coalesce(known.ended_at IS NOT NULL AND known.end_reason <> 'expired', false),
    known.started_at, known.last_activity_at, known.expires_at
FROM unnest(%s::uuid[], %s::uuid[]) AS asked(session_id, identity_id)
JOIN members ON members.identity_id = asked.identity_id
LEFT JOIN member_sessions AS known
    ON known.session_id = asked.session_id AND known.identity_id = asked.identity_id
"""


@dataclass(frozen=True, slots=True)
class SessionStanding:
    """Our side of one session.

    Attributes:
        hold: Why the session is held; None: it is not, or has no row yet.
        has_ended: It ended here, whatever Kratos still says.
        started_at: None: it has no row yet.
    """

    status: str
    role: str
    has_second_factor: bool
    requires_second_factor: bool
    hold: str | None
    has_ended: bool
    started_at: datetime | None
    last_activity_at: datetime | None
    expires_at: datetime | None


_Waiting = dict[tuple[UUID, UUID], list[asyncio.Future[SessionStanding | None]]]


class SessionStandings:
    """Looks standings up, many in one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: _Waiting = {}
        self._task: asyncio.Task[None] | None = None

    async def of(self, session_id: UUID, identity_id: UUID) -> SessionStanding | None:
        """Return what we know; None: there is no such member.

        Raises:
            RefusedError: the database does not answer: nobody is let in on a guess.
        """
        answer: asyncio.Future[SessionStanding | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((session_id, identity_id), []).append(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_up())
        return await answer

    async def _look_up(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            sessions, identities = zip(*asked, strict=True)
            try:
                rows = await self._database.rows(_STATEMENT, (list(sessions), list(identities)))
            except BaseException as error:  # whatever it is, nobody waits for ever
                _fail(asked, error)
                if not isinstance(error, RefusedError):
                    raise
                continue
            found = {row[0]: SessionStanding(*row[1:]) for row in rows}
            for (session_id, _), answers in asked.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(found.get(session_id))


def _fail(asked: _Waiting, error: BaseException) -> None:
    refusal = error if isinstance(error, RefusedError) else RefusedError(DATABASE_DOWN)
    for answers in asked.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(refusal)
