"""Whether a Kratos session still means something: our state of the member decides."""

import asyncio
import json
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.problems import DATABASE_DOWN, RefusedError

_STATEMENT = "SELECT identity_id FROM members WHERE identity_id = ANY(%s) AND status = 'active'"
IDENTITY_HEADER = b"x-kratos-authenticated-identity-id"


class MemberStatuses:
    """Looks statuses up: whoever asks while a statement is under way shares the next one.

    Nothing is remembered: an answer is never older than its question.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, list[asyncio.Future[bool]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def is_active(self, identity_id: str | None) -> bool:
        """Tell whether the member may have a session.

        Raises:
            RefusedError: the database does not answer: nobody is let in on a guess.
        """
        try:
            known = UUID(identity_id or "")
        except ValueError:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(known, []).append(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_up())
        return await answer

    async def _look_up(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                rows = await self._database.rows(_STATEMENT, (list(asked),))
            except BaseException as error:  # whatever it is, nobody waits for ever
                _settle(asked, error)
                if not isinstance(error, RefusedError):
                    raise
                continue
            _settle(asked, {row[0] for row in rows})


def _settle(
    asked: dict[UUID, list[asyncio.Future[bool]]], found: set[UUID] | BaseException
) -> None:
    for identity_id, answers in asked.items():
        for answer in answers:
            if answer.done():
                continue
            if isinstance(found, RefusedError):
                answer.set_exception(found)
            elif isinstance(found, BaseException):
                answer.set_exception(RefusedError(DATABASE_DOWN))
            else:
                answer.set_result(identity_id in found)


def no_session(request_id: str) -> Answer:
    """Return Kratos' own answer to whoever has no session. Source: v1.3.1, running."""
    error = {
        "code": 401,
        "status": "Unauthorized",
        "request": request_id,
        "reason": "No valid session credentials found in the request.",
        "message": "The request could not be authorized",
    }
    headers = [
        (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
        (b"content-type", b"application/json"),
        (b"vary", b"Cookie"),
    ]
    return Answer(401, headers, json.dumps({"error": error}, separators=(",", ":")).encode())
