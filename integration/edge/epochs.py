"""What changed, as this edge hears it: caches ask here whether they may still answer.

The table `subject_epochs` is the truth. It is read every quarter of a second, and at once when
Valkey passes on that somebody wrote to it. A row is new when its transaction was not over at the
last look, so that late commits are not missed. An edge that has not been able to look for a second
is not fresh: then nothing may be answered from memory.

Transactions are numbered by one server in one order. A standby that took over, or a database that
was put back, counts anew from an earlier point: what was remembered then belongs to another past.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from uuid import UUID

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from integration.edge.database import Database
from integration.edge.problems import RefusedError
from integration.epoch_channel import CHANNEL
from integration.settings import Settings

log = structlog.get_logger()

_LONGEST_SILENCE = 1.0
_PERIOD_SECONDS = 0.25
_RECONNECT_SECONDS = 1.0
_CANCEL_SECONDS = 0.1
_LOOK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
                 'subject_epochs'::regclass::oid),
       subject_id, epoch, settled_epoch < authority_epoch
FROM (VALUES (1)) AS always LEFT JOIN subject_epochs ON xid >= %s
"""

Listener = Callable[[UUID, int, bool], None]
"""Called with a subject, its epoch, and whether it is settling. May be told the same twice."""
Forget = Callable[[], None]


class Epochs:
    """Looks, and tells its listeners. Alive between `start` and `close`."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._valkey_url = settings.valkey_url.get_secret_value()
        self._listeners: list[Listener] = []
        self._forgetting: list[Forget] = []
        self._since: int | None = None
        self._origin = ""
        self._heard_at = float("-inf")
        self._look_wanted: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with everything that changes from now on."""
        self._listeners.append(listener)

    def on_another_past(self, forget: Forget) -> None:
        """Call `forget` when epochs are not counted on from those that were told."""
        self._forgetting.append(forget)

    @property
    def is_fresh(self) -> bool:
        """Whether everything committed up to a second ago is known here."""
        return time.monotonic() - self._heard_at < _LONGEST_SILENCE

    @property
    def horizon(self) -> int | None:
        """The first transaction that the last look may have missed; None when that is long ago.

        A row that an earlier transaction wrote last was like this already then.
        """
        return self._since if self.is_fresh else None

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep_looking())]
        self._tasks.append(asyncio.create_task(self._hear_the_bell()))

    async def close(self) -> None:
        left = set(self._tasks)
        while left:
            for task in left:
                # Again, if need be: redis-py swallows a cancellation while it connects.
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_CANCEL_SECONDS)
        self._settle_waiting()

    async def catch_up(self) -> None:
        """Return when everything committed before this call is known, or cannot be.

        Never raises: when the database does not answer, `is_fresh` says so soon enough.
        """
        if not self._tasks or self._tasks[0].done():
            return
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._look_wanted.append(seen)
        self._wake.set()
        await seen

    async def _keep_looking(self) -> None:
        while True:
            self._wake.clear()
            waiting, self._look_wanted = self._look_wanted, []
            try:
                await self._look()
            except RefusedError:
                log.warning("epochs_unknown")
            except Exception:
                log.exception("epochs_failed")
            finally:
                _resolve(waiting)
            if not self._look_wanted:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PERIOD_SECONDS):
                        await self._wake.wait()

    async def _look(self) -> None:
        asked_at = time.monotonic()
        since = self._since
        # Nothing is remembered before the first look, so there is nothing to be told.
        rows = await self._database.rows(_LOOK, (_NEVER if since is None else since,))
        if since is not None and (rows[0][1] != self._origin or rows[0][0] < since):
            log.warning("epochs_of_another_past")
            for forget in self._forgetting:
                forget()
        self._since, self._origin = rows[0][:2]
        if since is not None:
            for _, _, subject_id, epoch, settling in rows:
                if subject_id is not None:
                    self._tell(subject_id, epoch, settling)
        self._heard_at = asked_at

    def _tell(self, subject_id: UUID, epoch: int, settling: bool) -> None:
        for listener in self._listeners:
            listener(subject_id, epoch, settling)

    async def _hear_the_bell(self) -> None:
        """Look at once when somebody rings; without Valkey the period alone counts."""
        while True:
            try:
                client = redis.asyncio.Redis.from_url(
                    self._valkey_url, socket_connect_timeout=_LONGEST_SILENCE
                )
                async with client, client.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    async for _ in channel.listen():
                        self._wake.set()
            except (RedisError, OSError) as error:
                log.info("epochs_bell_silent", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _settle_waiting(self) -> None:
        waiting, self._look_wanted = self._look_wanted, []
        _resolve(waiting)


_NEVER = 2**63 - 1


def _resolve(waiting: list[asyncio.Future[None]]) -> None:
    for each in waiting:
        if not each.done():
            each.set_result(None)
