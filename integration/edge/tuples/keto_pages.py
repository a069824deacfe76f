"""Keto's lists of tuples, a page at a time, as our own writes ask for them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from integration.edge.forwarding import Forwarder
from integration.edge.problems import UPSTREAM_BROKEN, UPSTREAM_TIMEOUT, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.tuples.keto_rules import MAX_PAGE_SIZE
from policies.relationships import Relationship, SubjectSet

_PATH = "/relation-tuples"
# At most Keto's own database pool (16 connections), with room for checks.
_AT_ONCE = 8


class KetoPages:
    """Asks for pages, not too many at once."""

    def __init__(self, forwarder: Forwarder, *, seconds: float) -> None:
        self._forwarder = forwarder
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def first(
        self, request: Request, query: Mapping[str, str], *, size: int = MAX_PAGE_SIZE
    ) -> tuple[list[Relationship], bool]:
        """Return the first page of what matches, and whether there is more.

        Raises:
            RefusedError: Keto does not say.
        """
        found, token = await self._page(request, query, "", size)
        return found, bool(token)

    async def each(
        self, request: Request, query: Mapping[str, str]
    ) -> AsyncIterator[list[Relationship]]:
        """Yield every page of what matches. Raises as `first`."""
        token = ""
        while True:
            found, token = await self._page(request, query, token, MAX_PAGE_SIZE)
            yield found
            if not token:
                return

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Give several questions one deadline, that of a single one.

        Raises:
            RefusedError: it has passed.
        """
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError as error:
            raise RefusedError(UPSTREAM_TIMEOUT) from error

    async def _page(
        self, request: Request, query: Mapping[str, str], token: str, size: int
    ) -> tuple[list[Relationship], str]:
        asked = urlencode({**query, "page_size": size, "page_token": token})
        async with self._slots:
            answer = await self._forwarder.fetch(
                Upstream.KETO_READ, _PATH, asked, request, body=b""
            )
        if answer.status != 200:
            raise RefusedError(UPSTREAM_BROKEN)
        try:
            document = json.loads(answer.body)
            found = [_read(item) for item in document["relation_tuples"]]
            return found, document.get("next_page_token") or ""
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RefusedError(UPSTREAM_BROKEN) from error


def _read(item: Mapping[str, Any]) -> Relationship:
    """Return a tuple as Keto has it, whatever the model would say to it."""
    subject: str | SubjectSet
    if "subject_id" in item:
        subject = item["subject_id"]
    else:
        inner = item["subject_set"]
        subject = SubjectSet(inner["namespace"], inner["object"], inner["relation"])
    return Relationship(item["namespace"], item["object"], item["relation"], subject)
