"""A login that succeeded is a session in our table before its client hears of it.

Soft: what cannot be written now, the session's first use writes (`sessions.py`).
"""

import asyncio
from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

import structlog

from integration.countries import Countries
from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.problems import Refusal, RefusedError
from integration.edge.sessions.current import beginning
from integration.edge.sessions.earlier import NEVER, Earlier, EarlierSessions
from integration.edge.sessions.known_session import session_in
from integration.edge.sessions.rows import Beginning, SessionRows
from integration.settings import Settings
from policies import sessions, step_up, user_agents

log = structlog.get_logger()

_WITH_SESSION = ("login", "recovery")

_Reading: TypeAlias = tuple[UUID, asyncio.Task[Earlier]]
"""Whose sessions are read, and the reading."""


class SessionBeginnings:
    """Sees logins of every method, refreshes, second factors and recoveries succeed."""

    def __init__(
        self,
        settings: Settings,
        *,
        rows: SessionRows,
        earlier: EarlierSessions,
        reader: OutcomeReader,
        countries: Countries,
        epochs: Epochs,
    ) -> None:
        self._most = settings.sessions_per_member
        self._rows = rows
        self._earlier = earlier
        self._reader = reader
        self._countries = countries
        self._epochs = epochs
        self._reading: dict[int, _Reading] = {}

    async def before(self, submit: Submit) -> Refusal | None:
        """Begin to read what there is of the member, while Kratos compares the password."""
        if submit.flow == "login" and submit.account_id is not None:
            reading = asyncio.create_task(self._earlier.of(submit.account_id))
            reading.add_done_callback(_heard)
            self._reading[id(submit)] = (submit.account_id, reading)
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        read = self._reading.pop(id(submit), None)
        has_session = submit.flow in _WITH_SESSION or submit.is_callback or submit.is_token_exchange
        if not has_session or answer is None:
            return
        ended = await self._reader.of(submit, answer)
        if ended.outcome is not Outcome.SUCCESS or ended.flow not in _WITH_SESSION:
            return
        new = self._beginning(submit, ended)
        if new is None:
            log.warning("session_not_written", reason="unreadable")
            return
        try:
            await self._write(submit, ended, new, read)
        except RefusedError:
            log.warning("session_not_written", reason="database")

    async def _write(
        self, submit: Submit, ended: SubmitOutcome, new: Beginning, read: _Reading | None
    ) -> None:
        if ended.is_new_session:
            earlier, living = await self._begun(new, read)
            if submit.method != "oidc" and "oidc" in new.methods:
                facts = {"provider": "another account", "when": _when(new)}
                await self._rows.linked(new.identity_id, facts)
            await self._greet(submit, new, earlier.devices)
            if living < self._most:
                return
            await self._rows.end_oldest(new.identity_id, self._most)
        else:
            await self._rows.begin(new)
        # A session that was there before has changed, or ended: nobody may remember it as it was.
        await self._epochs.catch_up()

    async def _begun(self, new: Beginning, read: _Reading | None) -> tuple[Earlier, int]:
        """Write a session down; return what was there, and how many other sessions live now."""
        earlier = await _known(read, new.identity_id)
        later = await self._rows.begin(new, since=NEVER if earlier is None else earlier.until)
        if earlier is not None:
            return earlier, earlier.living + later
        return await self._earlier.of(new.identity_id, but=new.session_id), later

    async def _greet(self, submit: Submit, new: Beginning, earlier: list[sessions.Device]) -> None:
        """Send the mail about a device that was never seen; not about the very first one."""
        device = sessions.Device(submit.device_id, new.user_agent, new.country)
        if earlier and not sessions.is_known(device, earlier):
            facts = {
                "when": _when(new),
                "device": user_agents.describe(new.user_agent),
                "address": new.address,
                "country": new.country or "unknown",
            }
            await self._rows.mail_new_device(new.identity_id, facts)

    def _beginning(self, submit: Submit, ended: SubmitOutcome) -> Beginning | None:
        if ended.session is None or ended.identity_id is None:
            return None
        shown = session_in(ended.session, ended.identity_id)
        if shown is None:
            return None
        of_browser = submit.device_id or submit.fresh_device_id
        return replace(
            beginning(shown, submit.request, self._countries),
            device_id=of_browser if submit.is_of_browser else None,
            releases=step_up.is_second_factor(shown.methods, shown.aal),
        )


def _when(new: Beginning) -> str:
    return f"{new.authenticated_at:%d %B %Y, %H:%M} UTC"


async def _known(read: _Reading | None, identity_id: UUID) -> Earlier | None:
    """Return what was read of this member; None where it is to be read now."""
    if read is None or read[0] != identity_id:
        return None
    try:
        return await read[1]
    except RefusedError:
        return None


def _heard(reading: asyncio.Task[Earlier]) -> None:
    """Take note of how it ended: a login that failed asks for it no more."""
    if not reading.cancelled():
        reading.exception()
