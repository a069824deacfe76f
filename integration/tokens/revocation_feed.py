"""The list of sessions whose access tokens are void, as verifiers offline want it.

One thread a process looks what changed, a few times a second while anybody asks and not at all
otherwise. Who waits for a change waits on the event loop: without a thread, without a database
connection.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from integration.db import revocations
from integration.db.revocations import RevokedSession
from integration.settings import Settings

log = structlog.get_logger()

_PERIOD_SECONDS = 0.25
_LONGEST_SILENCE = 1.5
_IDLE_SECONDS = 60.0
_FIRST_LOOK_SECONDS = 5.0
_MOST_WAITING = 2000
# A refresh under way while its session ends may sign a little after the moment of the end.
_MARGIN = timedelta(seconds=60)

Transactions = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Revocations:
    """The list at one moment.

    Attributes:
        version: Another whenever the list is another.
        revoked: Session and the moment from which its tokens have expired by themselves.
    """

    version: str
    revoked: tuple[tuple[UUID, datetime], ...]


class RevocationFeed:
    """Keeps the list, and wakes who waits for another."""

    def __init__(
        self, settings: Settings, transactions: Transactions, now: Callable[[], datetime]
    ) -> None:
        self._kept = settings.access_token_lifetime + _MARGIN
        self._transactions = transactions
        self._now = now
        self._lock = threading.Lock()
        self._entries: dict[UUID, dict[UUID, datetime]] = {}
        self._since: int | None = None
        self._list: Revocations | None = None
        self._looked_at = float("-inf")
        self._asked_at = float("-inf")
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._is_failing = False

    def close(self) -> None:
        """Stop looking, and wait for a look under way."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(_LONGEST_SILENCE)

    async def current(self) -> Revocations | None:
        """Return the list as it was a second ago or later; None when nobody can tell."""
        self._see_to_it()
        deadline = time.monotonic() + _FIRST_LOOK_SECONDS
        while not self._is_fresh():
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            await self._woken(left)
        return self._list

    async def after(self, version: str, seconds: float) -> Revocations | None:
        """Return the list as soon as its version is another, or when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            known = await self.current()
            left = deadline - time.monotonic()
            if known is None or known.version != version or left <= 0:
                return known
            if len(self._waiting) >= _MOST_WAITING:
                return known
            await self._woken(min(left, _LONGEST_SILENCE), only_changes=version)

    async def _woken(self, seconds: float, *, only_changes: str | None = None) -> None:
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            known = self._list
            if only_changes is not None and known is not None and known.version != only_changes:
                return
            self._waiting.add(entry)
        try:
            async with asyncio.timeout(seconds):
                await entry[1].wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._waiting.discard(entry)

    def _is_fresh(self) -> bool:
        return self._list is not None and time.monotonic() - self._looked_at < _LONGEST_SILENCE

    def _see_to_it(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            self._asked_at = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._keep_looking, name="revocations", daemon=True
                )
                self._thread.start()

    def _keep_looking(self) -> None:
        while True:
            started = time.monotonic()
            try:
                self._look(started)
                self._is_failing = False
            except Exception as error:  # noqa: BLE001 - whatever it is, the list gets too old
                self._since = None
                if not self._is_failing and not self._closing.is_set():
                    log.warning("revocations_unknown", error=type(error).__name__)
                self._is_failing = True
            with self._lock:
                if not self._is_asked_for():
                    self._thread, self._since, self._list = None, None, None
                    return
            if self._closing.wait(_PERIOD_SECONDS):
                return

    def _is_asked_for(self) -> bool:
        return bool(self._waiting) or time.monotonic() - self._asked_at < _IDLE_SECONDS

    def _look(self, started: float) -> None:
        since, now = self._since, self._now()
        with self._transactions() as session:
            upto, moved = revocations.moved_since(session, since)
            cutoff = now - self._kept
            if since is None:
                rows = revocations.revoked(session, since=cutoff)
                self._entries = _grouped(rows)
            elif moved:
                rows = revocations.revoked(session, since=cutoff, of=sorted(moved))
                found = _grouped(rows)
                for member in moved:
                    self._entries.pop(member, None)
                self._entries |= found
        self._since = upto
        self._publish(now, started)

    def _publish(self, now: datetime, looked_at: float) -> None:
        listed = sorted(
            (session_id, moment + self._kept)
            for sessions in self._entries.values()
            for session_id, moment in sessions.items()
            if moment + self._kept > now
        )
        made = _made(listed)
        with self._lock:
            is_new = self._list is None or self._list.version != made.version
            is_late = looked_at - self._looked_at > _LONGEST_SILENCE
            self._list, self._looked_at = made, looked_at
            woken = list(self._waiting) if is_new or is_late else []
        for loop, event in woken:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(event.set)


def _grouped(rows: Iterable[RevokedSession]) -> dict[UUID, dict[UUID, datetime]]:
    found: dict[UUID, dict[UUID, datetime]] = {}
    for session_id, identity_id, moment in rows:
        found.setdefault(identity_id, {})[session_id] = moment
    return found


def _made(listed: list[tuple[UUID, datetime]]) -> Revocations:
    whole = [(session_id, _whole_second(until)) for session_id, until in listed]
    text = "\n".join(f"{session_id} {until.timestamp():.0f}" for session_id, until in whole)
    version = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Revocations(version, tuple(whole))


def _whole_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
