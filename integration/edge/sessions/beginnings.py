"""A login that succeeded is a session in our table before its client hears of it.

Soft: what cannot be written now, the session's first use writes (`sessions.py`).
"""

from dataclasses import replace

import structlog

from integration.countries import Countries
from integration.edge.asgi import Answer
from integration.edge.epochs import Epochs
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.problems import Refusal, RefusedError
from integration.edge.sessions.current import beginning
from integration.edge.sessions.known_session import session_in
from integration.edge.sessions.rows import Beginning, SessionRows
from integration.settings import Settings
from policies import sessions, step_up, user_agents

log = structlog.get_logger()

_WITH_SESSION = ("login", "recovery")


class SessionBeginnings:
    """Sees logins of every method, refreshes, second factors and recoveries succeed."""

    def __init__(
        self,
        settings: Settings,
        rows: SessionRows,
        reader: OutcomeReader,
        countries: Countries,
        epochs: Epochs,
    ) -> None:
        self._most = settings.sessions_per_member
        self._rows = rows
        self._reader = reader
        self._countries = countries
        self._epochs = epochs

    async def before(self, submit: Submit) -> Refusal | None:
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
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
            await self._write(submit, ended, new)
        except RefusedError:
            log.warning("session_not_written", reason="database")

    async def _write(self, submit: Submit, ended: SubmitOutcome, new: Beginning) -> None:
        earlier, living = await self._rows.begin(new)
        if ended.is_new_session:
            if submit.method != "oidc" and "oidc" in new.methods:
                facts = {"provider": "another account", "when": _when(new)}
                await self._rows.linked(new.identity_id, facts)
            await self._greet(submit, new, earlier)
            if living < self._most:
                return
            await self._rows.end_oldest(new.identity_id, self._most)
        # A session that was there before has changed, or ended: nobody may remember it as it was.
        await self._epochs.catch_up()

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
