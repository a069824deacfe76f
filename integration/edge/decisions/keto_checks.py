"""Questions put to Keto. Only a 200 with a boolean is an answer; all else is "unknown".

Equal questions at the same epochs that are under way are asked once.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from integration.edge.decisions.upstream import DecisionUpstream
from integration.edge.fair_slots import FairSlots
from integration.edge.problems import RefusedError
from policies.permission_questions import Epochs, Question

log = structlog.get_logger()

CHECK_PATH = "/relation-tuples/check/openapi"
BATCH_PATH = "/relation-tuples/batch/check"
# More than Keto and its database have cores for is slower: on two, a batch of a hundred took 0.7 of
# a hundred single checks with 4 at once, 0.9 with 8, 1.1 with 16. Beyond Keto's own database pool
# (16 connections) they only wait.
AT_ONCE = min(16, max(4, 2 * (os.cpu_count() or 1)))
# `limit.max_batch_check_size` is 10 unless an operator raises it. Source: Keto v0.14, config.
_BATCH = 10

Flight: TypeAlias = tuple[Question, Epochs]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A question put to Keto before its subject was looked up.

    Attributes:
        horizon: `Epochs.horizon` when it was put.
    """

    horizon: int
    answer: asyncio.Task[bool | None]


class KetoChecks:
    """Asks permits.

    Attributes:
        unknown: How many questions stayed without an answer.
    """

    def __init__(self, upstream: DecisionUpstream, *, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._flights: dict[Flight, asyncio.Task[bool | None]] = {}
        self._begun: dict[Question, Ahead] = {}
        self._slots = FairSlots(AT_ONCE)
        self._has_batch: bool | None = None
        self.unknown = 0

    async def ask(
        self, question: Question, epochs: Epochs, begun: Ahead | None = None
    ) -> bool | None:
        """Return Keto's answer; None when there is none in time.

        Args:
            epochs: What is known to whoever asks. Who knows more does not join who asked before.
            begun: What was begun ahead, if nothing has moved since.
        """
        flight = (question, epochs)
        task = self._flights.get(flight)
        if task is None:
            task = begun.answer if begun else asyncio.create_task(self._one(question))
            self._flights[flight] = task
            task.add_done_callback(lambda _: self._flights.pop(flight, None))
        # Who gives up does not take the answer from the others; the task has its own deadline.
        return await asyncio.shield(task)

    def ask_ahead(self, question: Question, horizon: int) -> Ahead:
        """Begin to ask before anything is known of the subject, or join who has begun.

        Args:
            horizon: `Epochs.horizon` now.
        """
        begun = self._begun.get(question)
        if begun is None:
            begun = Ahead(horizon, asyncio.create_task(self._one(question)))
            self._begun[question] = begun
            begun.answer.add_done_callback(lambda _: self._begun.pop(question, None))
        return begun

    async def ask_all(self, questions: Sequence[Question], *, share: str) -> list[bool | None]:
        """Return one answer for each question, in batches where Keto has them.

        Args:
            share: In whose name this takes turns with others.
        """
        if self._has_batch is not False and len(questions) > 1:
            chunks = [questions[at : at + _BATCH] for at in range(0, len(questions), _BATCH)]
            first = await self._batch(chunks[0], share)
            if self._has_batch:
                rest = await asyncio.gather(*(self._batch(chunk, share) for chunk in chunks[1:]))
                return [answer for answers in (first, *rest) for answer in answers]
        return list(await asyncio.gather(*(self._in_turn(each, share) for each in questions)))

    async def _in_turn(self, question: Question, share: str) -> bool | None:
        async with self._slots.held(share):
            return await self._one(question)

    async def _one(self, question: Question) -> bool | None:
        try:
            status, body = await self._upstream.ask_keto(
                CHECK_PATH, body=_body(question), seconds=self._seconds
            )
        except RefusedError as error:
            self._count_unknown(error.refusal.code)
            return None
        answer = _boolean(status, body)
        if answer is None:
            self._count_unknown(str(status))
        return answer

    async def _batch(self, questions: Sequence[Question], share: str) -> list[bool | None]:
        nothing: list[bool | None] = [None] * len(questions)
        body = json.dumps({"tuples": [_members(each) for each in questions]}).encode()
        try:
            async with self._slots.held(share):
                status, answer = await self._upstream.ask_keto(
                    BATCH_PATH, body=body, seconds=self._seconds
                )
        except RefusedError as error:
            self._count_unknown(error.refusal.code)
            return nothing
        if self._has_batch is None and status in (200, 404):
            # Keto v0.13 has no such path; it is asked for once.
            self._has_batch = status == 200
        answers = _booleans(status, answer, len(questions))
        if answers is None and self._has_batch:
            self._count_unknown(str(status))
        return answers or nothing

    def _count_unknown(self, cause: str) -> None:
        self.unknown += 1
        log.warning("permission_unknown", cause=cause, total=self.unknown)


def _members(question: Question) -> dict[str, str]:
    return {
        "namespace": question.namespace,
        "object": question.object,
        "relation": question.relation,
        "subject_id": question.subject,
    }


def _body(question: Question) -> bytes:
    return json.dumps(_members(question)).encode()


def _boolean(status: int, body: bytes) -> bool | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    allowed = document.get("allowed") if isinstance(document, dict) else None
    return allowed if status == 200 and isinstance(allowed, bool) else None


def _booleans(status: int, body: bytes, count: int) -> list[bool | None] | None:
    """Return the answers of a batch; one with an error is None."""
    try:
        results = json.loads(body)["results"]
        answers = [
            None
            if each.get("error") or not isinstance(each.get("allowed"), bool)
            else bool(each["allowed"])
            for each in results
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return answers if status == 200 and len(answers) == count else None
