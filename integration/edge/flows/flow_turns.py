"""One submit of a browser's flow at a time, so that what the flow then shows is of that submit.

A form is only sent back to its page; how it ended is read from the flow. Two submits of one flow
at the same moment overwrite each other's messages, and somebody who guesses passwords could hide
each guess behind a harmless submit. Nobody sends one form twice at once in earnest. Holds within
one edge process; across processes an overwritten validation message still counts as a failure
(`OutcomeReader`).
"""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from integration.edge.asgi import Answer
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.problems import Refusal

_BUSY = Refusal(
    503,
    "form_in_use",
    "This form was sent several times at once. Try again.",
    ((b"retry-after", b"1"),),
)
_MOST_IN_LINE = 8
_LONGEST_SECONDS = 10.0


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    in_line: int = 0


class FlowTurns:
    """The innermost guard: lets one submit of a flow to Kratos and reads how it ended."""

    def __init__(self, reader: OutcomeReader) -> None:
        self._reader = reader
        self._turns: dict[UUID, _Turn] = {}

    async def before(self, submit: Submit) -> Refusal | None:
        """Wait for this submit's turn; refuse when too many are in line already."""
        flow_id = _flow_of_browser(submit)
        if flow_id is None:
            return None
        turn = self._turns.setdefault(flow_id, _Turn())
        if turn.in_line >= _MOST_IN_LINE:
            return _BUSY
        turn.in_line += 1
        has_turn = False
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                has_turn = await turn.lock.acquire()
        except TimeoutError:
            return _BUSY
        finally:
            if not has_turn:
                self._leave(flow_id, turn)
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        flow_id = _flow_of_browser(submit)
        if flow_id is None:
            return
        turn = self._turns[flow_id]
        try:
            if answer is not None:
                await self._reader.of(submit, answer)
        finally:
            turn.lock.release()
            self._leave(flow_id, turn)

    def _leave(self, flow_id: UUID, turn: _Turn) -> None:
        turn.in_line -= 1
        if not turn.in_line:
            del self._turns[flow_id]


def _flow_of_browser(submit: Submit) -> UUID | None:
    """Return the flow of a submit that may be answered by sending it back to its page.

    Kratos takes no native submit with cookies, and no browser's without.
    """
    has_cookies = submit.request.header(b"cookie") is not None
    return submit.flow_id if has_cookies and submit.flow else None
