"""Where a question stands: what is known of its subject and of the edges between objects.

Whoever remembers an answer, or believes a remembered one, needs both to be what they were.
"""

import time
from dataclasses import dataclass, replace

from integration.edge.decisions.decision import Asking
from integration.edge.decisions.settling import Settling
from integration.edge.decisions.subjects import EDGES, Subject, Subjects
from integration.edge.epochs import Epochs as Feed
from policies.authority import GUEST_SUBJECT, PERMISSION_NAMESPACE
from policies.lifecycle import Status
from policies.permission_questions import Epochs, Question
from policies.permissions import end_of


@dataclass(frozen=True, slots=True)
class Standing:
    """A subject and the edges, each at one epoch."""

    subject: Subject
    edges: Subject

    @property
    def epochs(self) -> Epochs:
        return Epochs(self.subject.epoch, self.edges.epoch)

    @property
    def is_nobody(self) -> bool:
        """Whether the subject is neither a member nor the guest."""
        return self.subject.status is None and self.subject.id != GUEST_SUBJECT

    @property
    def is_shut_out(self) -> bool:
        """Whether the subject is a member without the gate, for whom every permit is closed."""
        return self.subject.status is not None and self.subject.status != Status.ACTIVE

    @property
    def must_settle(self) -> bool:
        """Whether Keto may still hold what was taken from the subject."""
        return self.subject.must_settle(time.time())

    def is_as_at(self, horizon: int) -> bool:
        """Tell whether nothing has moved since the feed looked last, at `Epochs.horizon`."""
        return self.subject.moved_by < horizon and self.edges.moved_by < horizon

    def until(self, question: Question) -> float | None:
        """Return when an allow ends by itself, Unix time: with the grants that give it."""
        if not self.subject.ends or question.namespace != PERMISSION_NAMESPACE:
            return None
        return end_of(question.object, self.subject.role, self.subject.ends)


class Standings:
    """Finds out, and brings into line."""

    def __init__(self, feed: Feed, subjects: Subjects, settling: Settling) -> None:
        self._feed = feed
        self._subjects = subjects
        self._settling = settling

    def horizon(self, subject_id: str) -> int | None:
        """Return `Epochs.horizon` where a subject has to be looked up; else None."""
        is_known = self._subjects.remembered(subject_id) is not None
        return None if is_known else self._feed.horizon

    def at_hand(self, subject_id: str) -> Standing | None:
        """Return what is remembered, if answers may be believed at it."""
        subject = self._subjects.remembered(subject_id)
        edges = self._subjects.remembered(EDGES)
        if subject is None or edges is None or edges.is_settling:
            return None
        return None if subject.must_settle(time.time()) else Standing(subject, edges)

    def is_current(self, standing: Standing) -> bool:
        """Tell whether nothing is known to have moved, and would be known here."""
        return (
            not standing.edges.is_settling
            and self._subjects.remembered(standing.subject.id) is standing.subject
            and self._subjects.remembered(EDGES) is standing.edges
        )

    async def of(self, asking: Asking) -> Standing:
        """Return where a question stands, as new as it asks for if there is anything newer.

        Raises:
            RefusedError: the database does not answer.
        """
        if asking.fresh:
            await self._feed.catch_up()
        subject_id, wanted = asking.question.subject, asking.at_least
        known = Standing(await self._subjects.of(subject_id), await self._subjects.of(EDGES))
        if wanted is None or known.epochs.reaches(wanted):
            return known
        subject = await self._subjects.load(subject_id)
        return Standing(subject, await self._subjects.load(EDGES))

    async def reloaded(self, standing: Standing) -> Standing:
        """Return it with its subject as the database has it now. Raises as `of`."""
        return replace(standing, subject=await self._subjects.load(standing.subject.id))

    async def settled(self, standing: Standing) -> Standing:
        """Have Keto told; what is known then shows whether it was. Raises as `of`."""
        await self._settling.settle(standing.subject.id)
        return await self.reloaded(standing)

    async def settle(self, subject_id: str) -> bool:
        """Tell whether Keto holds what is true of a subject; it is told first if it does not.

        Raises:
            RefusedError: the database does not answer.
        """
        subject = await self._subjects.of(subject_id)
        if subject.must_settle(time.time()):
            await self._settling.settle(subject_id)
            subject = await self._subjects.load(subject_id)
        return not subject.must_settle(time.time())
