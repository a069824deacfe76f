"""One decision: what is remembered where that is safe, else Keto, once it has been told all.

In doubt it is denied, and the reason says whether that means "no" or "not now".
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from integration.edge.decisions.decision import (
    NO_EPOCHS,
    Asking,
    Decision,
    Reason,
    denied,
    said,
)
from integration.edge.decisions.decision_cache import DecisionCache, Remembered
from integration.edge.decisions.keto_checks import Ahead, KetoChecks
from integration.edge.decisions.standing import Standing, Standings
from integration.settings import Settings
from policies.permission_questions import Question


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that only Keto can answer now."""

    question: Question
    standing: Standing
    asked_at: float


class Decisions:
    """Decides. Of permits alone: every permit is denied to a member who is not active."""

    def __init__(self, settings: Settings, *, standings: Standings, keto: KetoChecks) -> None:
        self._standings = standings
        self._keto = keto
        self._seconds = settings.decision_timeout.total_seconds()
        self._batch_seconds = settings.upstream_timeout.total_seconds()
        self._grace = settings.decision_last_known.total_seconds()
        self.cache = DecisionCache(
            max_bytes=settings.decision_cache_bytes,
            lifetime_seconds=settings.decision_cache_lifetime.total_seconds(),
        )

    def at_hand(self, question: Question) -> Decision | None:
        """Return a decision that needs nobody, or None."""
        standing = self._standings.at_hand(question.subject)
        if standing is None:
            return None
        epochs = standing.epochs
        allowed = self.cache.get(question, epochs, time.monotonic())
        return None if allowed is None else said(allowed, epochs, standing.until(question))

    def is_at_hand(self, asking: Asking) -> bool:
        """Tell whether a question needs nobody to be answered."""
        return asking.is_plain and self.at_hand(asking.question) is not None

    async def decide(self, asking: Asking, *, members_only: bool = True) -> Decision:
        """Return a decision within `KLEIS_DECISION_TIMEOUT`.

        Args:
            members_only: A subject that is neither a member nor the guest is `SUBJECT_UNKNOWN`.

        Raises:
            RefusedError: the database does not answer.
        """
        decision = self.at_hand(asking.question) if asking.is_plain else None
        if decision is not None:
            return decision
        ahead = self._asked_ahead(asking)
        try:
            async with asyncio.timeout(self._seconds):
                step = await self._prepare(asking, members_only=members_only)
                if isinstance(step, Decision):
                    return step
                counts = ahead is not None and step.standing.is_as_at(ahead.horizon)
                begun = ahead if counts else None
                answer = await self._keto.ask(step.question, step.standing.epochs, begun)
                return self._conclude(step, answer)
        except TimeoutError:
            return denied(Reason.UNKNOWN, NO_EPOCHS)

    def _asked_ahead(self, asking: Asking) -> Ahead | None:
        """Ask Keto while a subject is looked up that is not known here.

        Its answer counts only if the subject is found as it was at the feed's last look, before
        Keto was asked: active, settled, and not moved since. Else Keto is asked once more.
        """
        horizon = self._standings.horizon(asking.question.subject) if asking.is_plain else None
        return None if horizon is None else self._keto.ask_ahead(asking.question, horizon)

    async def decide_all(
        self, askings: Sequence[Asking], *, share: str, members_only: bool = True
    ) -> list[Decision]:
        """Return one decision for each question, in their order; equal ones are decided once.

        Args:
            share: In whose name Keto is asked, of whose questions many wait: a key, a member.

        Raises:
            RefusedError: the database does not answer.
        """
        done: dict[Asking, Decision] = {}
        wanted: list[Asking] = []
        for asking in dict.fromkeys(askings):
            decision = self.at_hand(asking.question) if asking.is_plain else None
            if decision is None:
                wanted.append(asking)
            else:
                done[asking] = decision
        if wanted:
            done.update(await self._decide_wanted(wanted, share, members_only=members_only))
        return [done[asking] for asking in askings]

    async def _decide_wanted(
        self, wanted: Sequence[Asking], share: str, *, members_only: bool
    ) -> dict[Asking, Decision]:
        deadline = asyncio.get_running_loop().time() + self._batch_seconds
        steps = await asyncio.gather(
            *(self._prepare_by(deadline, each, members_only=members_only) for each in wanted)
        )
        questions = list(dict.fromkeys(step.question for step in steps if isinstance(step, _Open)))
        answers: dict[Question, bool | None] = dict.fromkeys(questions)
        try:
            async with asyncio.timeout_at(deadline):
                found = await self._keto.ask_all(questions, share=share)
                answers.update(zip(questions, found, strict=True))
        except TimeoutError:
            pass
        return {
            asking: step
            if isinstance(step, Decision)
            else self._conclude(step, answers[step.question])
            for asking, step in zip(wanted, steps, strict=True)
        }

    async def _prepare_by(
        self, deadline: float, asking: Asking, *, members_only: bool
    ) -> Decision | _Open:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._prepare(asking, members_only=members_only)
        except TimeoutError:
            return denied(Reason.UNKNOWN, NO_EPOCHS)

    async def _prepare(self, asking: Asking, *, members_only: bool) -> Decision | _Open:
        """Get to where only Keto can answer, or answer."""
        standing = await self._standings.of(asking)
        if asking.at_least and not standing.epochs.reaches(asking.at_least):
            return denied(Reason.STALE, standing.epochs)
        if members_only and standing.is_nobody:
            # Whoever registered meanwhile did not move an epoch.
            standing = await self._standings.reloaded(standing)
            if standing.is_nobody:
                return denied(Reason.SUBJECT_UNKNOWN, standing.epochs)
        if standing.must_settle and not standing.is_shut_out:
            standing = await self._standings.settled(standing)
        return self._remembered(_Open(asking.question, standing, time.monotonic()))

    def _remembered(self, step: _Open) -> Decision | _Open:
        """Answer what needs nobody else."""
        standing = step.standing
        if standing.is_shut_out:
            return denied(Reason.GATE_CLOSED, standing.epochs)
        if standing.must_settle:
            return denied(Reason.SETTLING, standing.epochs)
        if not self._standings.is_current(standing):
            return step
        allowed = self.cache.get(step.question, standing.epochs, step.asked_at)
        return step if allowed is None else self._said(step, allowed)

    @staticmethod
    def _said(step: _Open, allowed: bool) -> Decision:
        return said(allowed, step.standing.epochs, step.standing.until(step.question))

    def _conclude(self, step: _Open, allowed: bool | None) -> Decision:
        epochs = step.standing.epochs
        # Nothing has moved since before Keto was asked.
        is_current = self._standings.is_current(step.standing)
        if allowed is not None:
            if is_current:
                self.cache.put(step.question, Remembered(allowed, epochs, step.asked_at))
            return self._said(step, allowed)
        if self._grace and is_current and step.question.is_reading:
            now = time.monotonic()
            if self.cache.get(step.question, epochs, now, grace=self._grace):
                return Decision(allowed=True, reason=Reason.LAST_KNOWN, epochs=epochs)
        return denied(Reason.UNKNOWN, epochs)
