"""A batch of new identities: what Kratos says it made, and what is really there.

When one of a batch exists already, v1.3.1 on PostgreSQL keeps none, and yet names an id for each of
the others: so it is asked again, and who is not there counts as not made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from integration.edge.admin.plans import IDENTITIES, object_in, uuid_of
from integration.edge.asgi import Answer
from integration.edge.forwarding import Forwarder
from integration.edge.problems import RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream

log = structlog.get_logger()

_AT_ONCE = 100
_NOT_MADE = {
    "action": "error",
    "error": {
        "code": 409,
        "status": "Conflict",
        "message": "Not created: another identity of the batch could not be.",
    },
}


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a batch.

    Attributes:
        answer: Kratos' own, with an error in place of each identity that is not there.
        places: The identities by their places in the batch; failed ones are left out.
        shown: As Kratos has them.
        unknown: Nobody could say whether these are there.
    """

    answer: Answer
    places: Mapping[int, UUID]
    shown: Mapping[UUID, Mapping[str, Any]]
    unknown: Sequence[UUID]


async def made(forwarder: Forwarder, request: Request, answer: Answer) -> Made:
    """Return what is there of a batch that Kratos answered. Never raises."""
    places = _named_in(answer.body)
    ids, shown, unknown = list(places.values()), dict[UUID, Mapping[str, Any]](), list[UUID]()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        found = await _look(forwarder, request, some)
        if found is None:
            unknown += some
        else:
            shown |= found
    absent = {at for at, each in places.items() if each not in shown and each not in unknown}
    if absent:
        log.warning("batch_undone_by_kratos", identities=len(absent))
        answer = Answer(answer.status, answer.headers, _without(answer.body, absent))
    there = {at: each for at, each in places.items() if at not in absent}
    return Made(answer, there, shown, unknown)


async def _look(
    forwarder: Forwarder, request: Request, ids: Sequence[UUID]
) -> dict[UUID, Mapping[str, Any]] | None:
    query = "&".join([f"page_size={_AT_ONCE}", *(f"ids={each}" for each in ids)])
    try:
        answer = await forwarder.fetch(Upstream.KRATOS_ADMIN, IDENTITIES, query, request, body=b"")
        return {UUID(one["id"]): one for one in json.loads(answer.body)}
    except (RefusedError, ValueError, TypeError, KeyError):
        log.exception("batch_not_shown", identities=len(ids))
        return None


def _named_in(body: bytes) -> dict[int, UUID]:
    items = (object_in(body) or {}).get("identities") or []
    named = {
        place: uuid_of(item.get("identity"))
        for place, item in enumerate(items)
        if isinstance(item, dict)
    }
    return {place: made for place, made in named.items() if made is not None}


def _without(body: bytes, absent: set[int]) -> bytes:
    document = object_in(body) or {}
    items = [
        _not_made(item) if place in absent else item
        for place, item in enumerate(document["identities"])
    ]
    return json.dumps({**document, "identities": items}).encode()


def _not_made(item: Mapping[str, Any]) -> dict[str, Any]:
    named = {"patch_id": item["patch_id"]} if "patch_id" in item else {}
    return {**_NOT_MADE, **named}
