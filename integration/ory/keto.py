"""Keto: the tuples of `Platform:main` and of permissions, and whether Keto is really ready.

Keto does not check what is written, inserts the same tuple twice, and says it is ready with its
database gone (v0.13). So the caller holds the identity's lock and reads before it writes, and
`check_ready` asks questions that need the database and the model. Parallel writes deadlock in its
database, so `change` waits for its turn among all writers, those of the edge included.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeAlias

import httpx

from integration.errors import UpstreamUnavailableError
from integration.ory.transport import send
from policies.authority import (
    GRANTED,
    PERMISSION_NAMESPACE,
    PLATFORM_NAMESPACE,
    PLATFORM_OBJECT,
    RelationTuple,
)
from policies.permissions import CatalogueTuple

NAMESPACES = frozenset({"User", "Platform", "Channel", "Content", "Profile", "Permission"})
_PAGE = 500
_PLATFORM = {"namespace": PLATFORM_NAMESPACE, "object": PLATFORM_OBJECT}
_GRANTS = {"namespace": PERMISSION_NAMESPACE, "relation": GRANTED}
Turn: TypeAlias = Callable[[timedelta | None], AbstractContextManager[None]]
_TUPLES = "/admin/relation-tuples"
_DEADLOCK = "sqlstate=40P01"


class Keto:
    """Keto, by its read and its write port."""

    def __init__(
        self,
        *,
        read: httpx.Client,
        write: httpx.Client,
        turn: Turn,
        deadline: float | None = None,
    ) -> None:
        """Args:
        turn: Held around each write, waited for no longer than it is told (None: as long as
            usual); raises `BusyError` when that is too long.
        deadline: Of every call, by `time.monotonic`; None: each has its own.
        """
        self._read = read
        self._write = write
        self._turn = turn
        self._deadline = deadline

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def within(self, time_left: timedelta) -> "Keto":
        """Return the same Keto, whose calls all together may take no longer than this."""
        deadline = time.monotonic() + time_left.total_seconds()
        return Keto(read=self._read, write=self._write, turn=self._turn, deadline=deadline)

    def tuples_of(self, subject_id: str) -> frozenset[RelationTuple]:
        """Return what one subject has on `Platform:main`, and what it was granted."""
        subject = {"subject_id": subject_id}
        return frozenset((*self._list(_PLATFORM | subject), *self._list(_GRANTS | subject)))

    def tuples(self) -> Iterator[RelationTuple]:
        """Yield every plain-subject tuple on `Platform:main`, and every grant.

        Rows written while this runs may be missed: Keto pages by random order.
        """
        yield from self._list(_PLATFORM)
        yield from self._list(_GRANTS)

    def catalogue(self) -> frozenset[CatalogueTuple]:
        """Return what is known about permissions themselves."""
        listed = self._pages({"namespace": PERMISSION_NAMESPACE})
        return frozenset(_to_catalogue(item) for item in listed if "subject_set" in item)

    def change_catalogue(
        self, *, insert: frozenset[CatalogueTuple], delete: frozenset[CatalogueTuple]
    ) -> None:
        """Insert tuples that were read as absent, and delete others, under the lock of the
        catalogue."""
        waiting = [
            *(("delete", item) for item in sorted(delete)),
            *(("insert", item) for item in sorted(insert)),
        ]
        while waiting:
            part, waiting = waiting[:_PAGE], waiting[_PAGE:]
            operations = [
                {"action": action, "relation_tuple": _from_catalogue(item)} for action, item in part
            ]
            self._patch(operations)

    def change(self, *, insert: frozenset[RelationTuple], delete: frozenset[RelationTuple]) -> None:
        """Insert and delete tuples in one PATCH: all or nothing.

        Args:
            insert: Tuples read as absent under the identity's lock; a second insert would be a
                second row.
            delete: Removed with all their copies. Never also in `insert`: deletes come last.

        Raises:
            BusyError: others wrote all the time.
            UpstreamUnavailableError: Keto did not answer; it may have written.
        """
        operations = [
            *({"action": "delete", "relation_tuple": _to_json(item)} for item in sorted(delete)),
            *({"action": "insert", "relation_tuple": _to_json(item)} for item in sorted(insert)),
        ]
        if operations:
            self._patch(operations)

    def allows(self, permit: str, subject_id: str) -> bool:
        """Ask one permit of `Platform:main`. Anything but a clear answer is an error.

        Raises:
            UpstreamUnavailableError: no answer, or none that says yes or no.
        """
        query = {
            "namespace": "Platform",
            "object": "main",
            "relation": permit,
            "subject_id": subject_id,
        }
        response = self._send(self._read, "GET", "/relation-tuples/check/openapi", params=query)
        allowed = response.json().get("allowed")
        if not isinstance(allowed, bool):
            raise UpstreamUnavailableError("The permission service gave no answer.")
        return allowed

    def check_ready(self) -> None:
        """Return when Keto has its whole model and its database.

        Raises:
            UpstreamUnavailableError: it lacks one of them.
        """
        listed = self._send(self._read, "GET", "/namespaces").json().get("namespaces") or []
        missing = NAMESPACES - {item["name"] for item in listed}
        if missing:
            raise UpstreamUnavailableError(
                "The permission service lacks its model.", detail=", ".join(sorted(missing))
            )
        query = {"namespace": "Platform", "page_size": 1}
        self._send(self._read, "GET", "/relation-tuples", params=query)

    def _patch(self, operations: list[dict[str, Any]]) -> None:
        with self._turn(self._left()):
            try:
                self._send(self._write, "PATCH", _TUPLES, json=operations)
            except UpstreamUnavailableError as error:
                if _DEADLOCK not in error.detail:
                    raise
                # Somebody wrote past us. Keto has rolled back: safe to send again.
                self._send(self._write, "PATCH", _TUPLES, json=operations)

    def _list(self, query: dict[str, str]) -> Iterator[RelationTuple]:
        for item in self._pages(query):
            if "subject_id" in item:
                yield _from_json(item)

    def _pages(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = {"page_size": str(_PAGE), "page_token": token, **query}
            body = self._send(self._read, "GET", "/relation-tuples", params=page).json()
            yield from body["relation_tuples"]
            token = body.get("next_page_token", "")
            if not token:
                return

    def _send(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        left = self._left()
        if left is None:
            return send(client, method, path, **options)
        return send(client, method, path, timeout=left.total_seconds(), **options)

    def _left(self) -> timedelta | None:
        """Return the time that is left; None: every call has its own.

        Raises:
            UpstreamUnavailableError: there is none.
        """
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UpstreamUnavailableError("The permission service did not answer in time.")
        return timedelta(seconds=left)


def _to_json(item: RelationTuple) -> dict[str, str]:
    return {
        "namespace": item.namespace,
        "object": item.object,
        "relation": item.relation,
        "subject_id": item.subject_id,
    }


def _from_json(item: dict[str, Any]) -> RelationTuple:
    return RelationTuple(item["namespace"], item["object"], item["relation"], item["subject_id"])


def _from_catalogue(item: CatalogueTuple) -> dict[str, Any]:
    return {
        "namespace": PERMISSION_NAMESPACE,
        "object": item.permission,
        "relation": item.relation,
        "subject_set": {
            "namespace": item.subject_namespace,
            "object": item.subject_object,
            "relation": item.subject_relation,
        },
    }


def _to_catalogue(item: dict[str, Any]) -> CatalogueTuple:
    of = item["subject_set"]
    return CatalogueTuple(
        item["object"], item["relation"], of["namespace"], of["object"], of["relation"]
    )
