"""Whose session a request comes with, from memory while nothing changed.

An entry is Kratos' own answer to one credential and what our tables said of it. It goes when the
member's epoch moves, is used only while the edge hears of moves, and never beyond the session's
end nor its own greatest age (what is changed past us, at Kratos itself, nobody tells).
"""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from integration.edge.asgi import Answer, RawHeaders, header
from integration.edge.epochs import Epochs
from integration.edge.sessions.activity import Activity
from integration.edge.sessions.known_session import KnownSession
from integration.settings import Settings

COOKIE = b"ory_kratos_session"
_NAMES = (b"x-session-token", b"x-session-cookie", b"authorization", b"cookie")
_MOST_TOLD = 10_000


def credential_key(fields: RawHeaders) -> bytes | None:
    """Return the hash of what Kratos recognises a session by; None: nothing, or ambiguous.

    Everything Kratos might look at goes in, so that one key has one answer. Other cookies do not
    count.
    """
    given: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in _NAMES:
            if name in given:
                return None
            given[name] = value
    if not given:
        return None
    cookie = _session_cookie(given.get(b"cookie", b""))
    if cookie is None:
        return None
    parts = (*(given.get(name, b"") for name in _NAMES[:3]), cookie)
    if not any(parts):
        return None
    said = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hashlib.sha256(said).digest()


def _session_cookie(value: bytes) -> bytes | None:
    """Return the value of Kratos' cookie, empty without one; None when there are two."""
    if COOKIE not in value:
        return b""
    found = [
        pair.partition(b"=")[2]
        for each in value.split(b";")
        if (pair := each.strip()).partition(b"=")[0].rstrip() == COOKIE
    ]
    if len(found) > 1:
        return None
    return found[0] if found else b""


@dataclass(frozen=True, slots=True)
class Entry:
    """One remembered answer.

    Attributes:
        until: On the monotonic clock; not used at or after it.
        ready: The answer's header as it is sent.
    """

    known: KnownSession
    answer: Answer
    until: float
    ready: RawHeaders


@dataclass(frozen=True, slots=True)
class Asked:
    """When a question was asked, in tellings; None: nothing may be remembered of its answer."""

    telling: int | None


class SessionCache:
    """Remembers answers. Everything in it happens in one event loop and never waits."""

    def __init__(self, settings: Settings, epochs: Epochs, activity: Activity) -> None:
        self._epochs = epochs
        self._activity = activity
        self._size = settings.session_cache_size
        self._max_age = settings.session_cache_max_age.total_seconds()
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._keys_of: dict[UUID, set[bytes]] = {}
        self._tellings = 0
        self._told: OrderedDict[UUID, int] = OrderedDict()
        self._forgotten_up_to = 0
        epochs.listen(self._told_of)
        epochs.on_another_past(self._forget_all)

    def get(self, key: bytes) -> Entry | None:
        """Return what is remembered of a credential, if it may still be used."""
        entry = self._entries.get(key)
        if entry is None or not self._epochs.is_fresh:
            return None
        if time.monotonic() >= entry.until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        self._activity.seen(entry.known.session_id)
        return entry

    def asking(self) -> Asked:
        """Return when the question is asked whose answer may be put here."""
        return Asked(self._tellings if self._epochs.is_fresh else None)

    def put(self, key: bytes, known: KnownSession, answer: Answer, asked: Asked) -> None:
        """Remember an answer, unless its subject moved since its question."""
        if asked.telling is None or not self._epochs.is_fresh:
            return
        if asked.telling < self._forgotten_up_to:
            return
        if self._told.get(known.identity_id, 0) > asked.telling:
            return
        if header(answer.headers, b"set-cookie") is not None:
            return
        left = (known.expires_at - datetime.now(UTC)).total_seconds()
        if left <= 0:
            return
        until = time.monotonic() + min(left, self._max_age)
        self._drop(key)
        length = (b"content-length", str(len(answer.body)).encode())
        self._entries[key] = Entry(known, answer, until, [*answer.headers, length])
        self._keys_of.setdefault(known.identity_id, set()).add(key)
        while len(self._entries) > self._size:
            self._drop(next(iter(self._entries)))

    def forget(self, identity_id: UUID) -> None:
        """Drop whatever is remembered of a member, and what is being asked about it."""
        self._tellings += 1
        self._told[identity_id] = self._tellings
        self._told.move_to_end(identity_id)
        while len(self._told) > _MOST_TOLD:
            self._forgotten_up_to = self._told.popitem(last=False)[1]
        for key in tuple(self._keys_of.get(identity_id, ())):
            self._drop(key)

    def __len__(self) -> int:
        return len(self._entries)

    def _forget_all(self) -> None:
        self._tellings += 1
        self._forgotten_up_to = self._tellings
        self._entries.clear()
        self._keys_of.clear()

    def _told_of(self, subject_id: UUID, epoch: int, settling: bool) -> None:
        self.forget(subject_id)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        keys = self._keys_of[entry.known.identity_id]
        keys.discard(key)
        if not keys:
            del self._keys_of[entry.known.identity_id]
