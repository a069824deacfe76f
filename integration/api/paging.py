"""Lists in pages: `?limit=&cursor=` in, `next_cursor` and a `Link` header out.

A cursor is opaque to clients. It names the last item they saw, so that what is added meanwhile
shifts nothing.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from integration.errors import InvalidInputError

Item = TypeVar("Item")
Row = TypeVar("Row")
View = TypeVar("View", bound=BaseModel)
_MOST = 200


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[Item]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page a client asked for."""

    request: Request
    response: Response
    limit: int
    cursor: str | None

    @property
    def after(self) -> list[Any] | None:
        """Return what the cursor holds.

        Raises:
            InvalidInputError: it is none of ours.
        """
        return None if self.cursor is None else _decode(self.cursor)

    def after_moment(self) -> tuple[datetime, UUID] | None:
        """Return `(when, id)` of the last item seen."""
        after = self.after
        if after is None:
            return None
        try:
            when, identifier = datetime.fromisoformat(after[0]), UUID(after[1])
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise _invalid() from error
        if when.tzinfo is None:
            raise _invalid()
        return when, identifier

    def after_id(self) -> UUID | None:
        """Return the id of the last item seen."""
        after = self.after
        try:
            return None if after is None else UUID(after[0])
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise _invalid() from error

    def after_number(self) -> int | None:
        """Return the number of the last item seen, below 2^63."""
        after = self.after
        if after is None:
            return None
        number = after[0] if after else None
        if not isinstance(number, int) or not 0 <= number < 2**63:
            raise _invalid()
        return number

    def page(
        self, rows: Sequence[Row], view: Callable[[Row], View], key: Callable[[Row], list[Any]]
    ) -> Page[View]:
        """Return a page of rows that were asked for with one more than `limit`.

        Args:
            key: What the next cursor has to name of the last row.
        """
        shown = rows[: self.limit]
        if len(rows) <= self.limit:
            return Page(items=[view(row) for row in shown], next_cursor=None)
        cursor = _encode(key(shown[-1]))
        query = [
            (name, value)
            for name, value in self.request.query_params.multi_items()
            if name != "cursor"
        ]
        following = urlencode([*query, ("cursor", cursor)])
        self.response.headers["Link"] = f'<{self.request.url.path}?{following}>; rel="next"'
        return Page(items=[view(row) for row in shown], next_cursor=cursor)


def paging(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> Paging:
    return Paging(request, response, limit, cursor)


Paged = Annotated[Paging, Depends(paging)]


def _encode(key: list[Any]) -> str:
    text = json.dumps(key, default=str, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _invalid() from error
    if not isinstance(found, list):
        raise _invalid()
    return found


def _invalid() -> InvalidInputError:
    return InvalidInputError("This cursor is not one of this list.", problem="cursor_invalid")
