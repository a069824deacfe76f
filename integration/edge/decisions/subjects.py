"""What our tables say of a subject that is asked about: may its answers be remembered, is Keto
behind?

One statement loads it; it is remembered until the feed of epochs tells that something moved, and
used only while that feed is fresh. The feed tells in order, but a state may be loaded while it
tells: what moved meanwhile spoils the load.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from integration.edge.database import Database
from integration.edge.epochs import Epochs
from integration.edge.problems import DATABASE_DOWN, RefusedError

EDGES = str(UUID(int=0))
"""As `integration.db.epochs.EDGES`, which the edge does not load."""

_MAX_REMEMBERED = 50_000
_NEVER = float("inf")
_NO_ENDS: Mapping[str, float | None] = {}
_LOAD = """
SELECT asked.id::text, coalesce(known.epoch, 0), coalesce(known.xid, 0),
       coalesce(known.settled_epoch < known.authority_epoch, false),
       members.status, members.role, given.first_end, given.ends
FROM unnest(%s::uuid[]) AS asked(id)
LEFT JOIN subject_epochs AS known ON known.subject_id = asked.id
LEFT JOIN members ON members.identity_id = asked.id
LEFT JOIN LATERAL (
    SELECT extract(epoch FROM min(expires_at))::float8 AS first_end,
           json_object_agg(permission, extract(epoch FROM expires_at))
               FILTER (WHERE revoked_at IS NULL AND expired_at IS NULL) AS ends
    FROM permission_grants
    WHERE permission_grants.subject_id = asked.id AND removed_at IS NULL
) AS given ON true
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject at one epoch.

    Attributes:
        id: UUID in lower case, as everywhere in this package.
        is_settling: Keto has not been told everything yet.
        status: None when it is no member: a guest, a service, nobody.
        moved_by: The transaction that wrote its row of epochs last; 0: nothing ever moved.
        expires_at: When its next grant ends that Keto still has, Unix time; infinite if none does.
        ends: Each permission it was granted, with its end, Unix time; empty if none of them ends.
    """

    id: str
    epoch: int
    moved_by: int
    is_settling: bool
    status: str | None
    role: str | None
    expires_at: float
    ends: Mapping[str, float | None]

    def must_settle(self, now: float) -> bool:
        """Tell whether Keto may know more than is true at `now` (Unix time)."""
        return self.is_settling or self.expires_at <= now


@dataclass(slots=True)
class _Load:
    """One subject under way: who waits, and whether it moved since the statement began."""

    waiting: list[asyncio.Future[Subject]]
    is_spoilt: bool = False


class Subjects:
    """Looks subjects up, and remembers them."""

    def __init__(self, database: Database, epochs: Epochs) -> None:
        self._database = database
        self._epochs = epochs
        self._remembered: OrderedDict[str, Subject] = OrderedDict()
        self._wanted: dict[str, _Load] = {}
        self._loading: dict[str, _Load] = {}
        self._task: asyncio.Task[None] | None = None
        epochs.listen(self._told)
        epochs.on_another_past(self._forget)

    def remembered(self, subject_id: str) -> Subject | None:
        """Return a subject nothing is known to have moved for; None also when the feed is not
        fresh."""
        return self._remembered.get(subject_id) if self._epochs.is_fresh else None

    async def of(self, subject_id: str) -> Subject:
        """Return a subject as it was when this was called, or later.

        Raises:
            RefusedError: the database does not answer.
        """
        return self.remembered(subject_id) or await self.load(subject_id)

    async def load(self, subject_id: str) -> Subject:
        """Return a subject as the database has it now. Raises as `of`."""
        self._remembered.pop(subject_id, None)
        answer: asyncio.Future[Subject] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(subject_id, _Load([])).waiting.append(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._load_wanted())
        return await answer

    async def _load_wanted(self) -> None:
        while self._wanted:
            self._loading, self._wanted = self._wanted, {}
            # Moves between an earlier statement and the feed's first look are never told.
            was_fresh = self._epochs.is_fresh
            try:
                rows = await self._database.rows(_LOAD, (list(self._loading),))
            except BaseException as error:  # whatever it is, nobody waits for ever
                _fail(self._loading.values(), error)
                if not isinstance(error, RefusedError):
                    raise
                continue
            for row in rows:
                self._loaded(row, may_remember=was_fresh)
            self._loading = {}

    def _loaded(self, row: tuple[Any, ...], *, may_remember: bool) -> None:
        subject_id, epoch, moved_by, is_settling, status, role, first_end, ends = row
        subject = Subject(
            subject_id,
            epoch,
            moved_by,
            is_settling,
            status,
            role,
            expires_at=_NEVER if first_end is None else first_end,
            ends=_NO_ENDS if first_end is None or ends is None else json.loads(ends),
        )
        load = self._loading[subject_id]
        if may_remember and not load.is_spoilt:
            self._remembered[subject_id] = subject
            if len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        for answer in load.waiting:
            if not answer.done():
                answer.set_result(subject)

    def _told(self, told: UUID, epoch: int, is_settling: bool) -> None:
        """Forget what moved. The same may be told twice; that moves nothing."""
        subject_id = str(told)
        if subject_id in self._loading:
            self._loading[subject_id].is_spoilt = True
        known = self._remembered.get(subject_id)
        if known is None or epoch < known.epoch:
            return
        if epoch > known.epoch:
            del self._remembered[subject_id]
        elif known.is_settling and not is_settling:
            self._remembered[subject_id] = replace(known, is_settling=False)

    def _forget(self) -> None:
        """Forget everything, and what is being loaded."""
        self._remembered.clear()
        for load in self._loading.values():
            load.is_spoilt = True


def _fail(loads: Iterable[_Load], error: BaseException) -> None:
    refusal = error if isinstance(error, RefusedError) else RefusedError(DATABASE_DOWN)
    for load in loads:
        for answer in load.waiting:
            if not answer.done():
                answer.set_exception(refusal)
