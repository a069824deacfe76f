"""Keto: the tuples of `Platform:main`, and whether Keto is really ready.

Keto does not check what is written, inserts the same tuple twice, and says it is ready with its
database gone (v0.13). So the caller holds the identity's lock and reads before it writes, and
`check_ready` asks questions that need the database and the model. Parallel writes deadlock in its
database, so `change` waits for its turn among all writers, those of the edge included.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx

from integration.errors import UpstreamUnavailableError
from integration.ory.transport import send
from policies.authority import RelationTuple

NAMESPACES = frozenset({"User", "Platform", "Channel", "Content", "Profile", "Permission"})
_PAGE = 500
_TUPLES = "/admin/relation-tuples"
_DEADLOCK = "40P01"


class Keto:
    """Keto, by its read and its write port."""

    def __init__(
        self,
        *,
        read: httpx.Client,
        write: httpx.Client,
        turn: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        turn: Held around each write; raises `BusyError` when it takes too long.
        """
        self._read = read
        self._write = write
        self._turn = turn

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def platform_tuples_of(self, subject_id: str) -> frozenset[RelationTuple]:
        """Return what one subject has on `Platform:main`."""
        return frozenset(self._list({"subject_id": subject_id}))

    def platform_tuples(self) -> Iterator[RelationTuple]:
        """Yield every plain-subject tuple on `Platform:main`.

        Rows written while this runs may be missed: Keto pages by random order.
        """
        yield from self._list({})

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
        if not operations:
            return
        with self._turn():
            try:
                send(self._write, "PATCH", _TUPLES, json=operations)
            except UpstreamUnavailableError as error:
                if _DEADLOCK not in error.detail:
                    raise
                # Somebody wrote past us. Keto has rolled back: safe to send again.
                send(self._write, "PATCH", _TUPLES, json=operations)

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
        response = send(self._read, "GET", "/relation-tuples/check/openapi", params=query)
        allowed = response.json().get("allowed")
        if not isinstance(allowed, bool):
            raise UpstreamUnavailableError("The permission service gave no answer.")
        return allowed

    def check_ready(self) -> None:
        """Return when Keto has its whole model and its database.

        Raises:
            UpstreamUnavailableError: it lacks one of them.
        """
        listed = send(self._read, "GET", "/namespaces").json().get("namespaces") or []
        missing = NAMESPACES - {item["name"] for item in listed}
        if missing:
            raise UpstreamUnavailableError(
                "The permission service lacks its model.", detail=", ".join(sorted(missing))
            )
        query = {"namespace": "Platform", "page_size": 1}
        send(self._read, "GET", "/relation-tuples", params=query)

    def _list(self, query: dict[str, str]) -> Iterator[RelationTuple]:
        token = ""
        while True:
            page = {
                "namespace": "Platform",
                "object": "main",
                "page_size": str(_PAGE),
                "page_token": token,
                **query,
            }
            body = send(self._read, "GET", "/relation-tuples", params=page).json()
            for item in body["relation_tuples"]:
                if "subject_id" in item:
                    yield _from_json(item)
            token = body.get("next_page_token", "")
            if not token:
                return


def _to_json(item: RelationTuple) -> dict[str, str]:
    return {
        "namespace": item.namespace,
        "object": item.object,
        "relation": item.relation,
        "subject_id": item.subject_id,
    }


def _from_json(item: dict[str, Any]) -> RelationTuple:
    return RelationTuple(item["namespace"], item["object"], item["relation"], item["subject_id"])
