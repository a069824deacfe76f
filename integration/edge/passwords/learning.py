"""Learns the current password of members who brought one with them, when they log in with it.

Admins and imports set passwords that no judge saw. Without this, the first change could set the
very same one again, for there is nothing to compare it with.
"""

import asyncio
import contextlib
from uuid import UUID

import structlog

from integration.edge.asgi import Answer
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.submit_outcomes import Outcome
from integration.edge.passwords.digests import PasswordDigests
from integration.edge.passwords.histories import PasswordHistories
from integration.edge.problems import Refusal, RefusedError

log = structlog.get_logger()

_MOST_KNOWN = 10_000
_MOST_AT_ONCE = 8
# A client that does not take its answer is learned from all the same.
_ANSWER_SECONDS = 0.5


class PasswordLearning:
    """Never stops a login, nor keeps its answer waiting."""

    def __init__(
        self, reader: OutcomeReader, histories: PasswordHistories, digests: PasswordDigests
    ) -> None:
        self._reader = reader
        self._histories = histories
        self._digests = digests
        self._known: set[UUID] = set()
        self._learning: set[asyncio.Task[None]] = set()

    async def before(self, submit: Submit) -> Refusal | None:
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        password = submit.fields.get("password")
        if submit.flow != "login" or submit.method != "password" or not isinstance(password, str):
            return
        outcome = await self._reader.of(submit, answer)
        identity_id = outcome.identity_id
        if outcome.outcome is not Outcome.SUCCESS or identity_id is None:
            return
        # Whoever is not learned now is learned at the next login.
        if identity_id not in self._known and len(self._learning) < _MOST_AT_ONCE:
            task = asyncio.create_task(self._learn_later(submit, identity_id, password))
            self._learning.add(task)
            task.add_done_callback(self._learning.discard)

    async def finish(self) -> None:
        """Let what is being learned be stored."""
        if self._learning:
            await asyncio.wait(self._learning, timeout=2)

    async def _learn_later(self, submit: Submit, identity_id: UUID, password: str) -> None:
        """Learn once the login was answered: it needs the same processor and database."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await submit.request.answered.wait()
        await self._learn(identity_id, password)

    async def _learn(self, identity_id: UUID, password: str) -> None:
        try:
            if await self._histories.is_empty(identity_id):
                history = await self._histories.of(identity_id)
                if history is None or history.digests:
                    return
                digest = await self._digests.digest(password, history.salt)
                await self._histories.begin(identity_id, history.salt, digest)
        except RefusedError as error:
            log.info("password_not_learned", reason=error.refusal.code)
            return
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(identity_id)
