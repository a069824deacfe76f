"""Judges the passwords of registrations and settings before Kratos sees them.

The verdict waits in PostgreSQL under a random id that travels in the forwarded address; the hook
that Kratos asks next finds it there (docs/decisions/0011).
"""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.flows import reauthentication
from integration.edge.flows.caller import Caller
from integration.edge.flows.callers import Callers
from integration.edge.flows.guards import Submit
from integration.edge.flows.submits import MALFORMED_BODY
from integration.edge.forwarding import Forwarder
from integration.edge.passwords import attempts as password_attempts
from integration.edge.passwords.attempts import PasswordAttempt
from integration.edge.passwords.histories import PasswordHistories
from integration.edge.passwords.judge import PasswordJudge, Verdict, owner_of
from integration.edge.problems import Refusal, RefusedError
from integration.edge.routes import Upstream
from integration.settings import Settings
from policies.passwords import PasswordOwner

log = structlog.get_logger()

_FLOWS = ("registration", "settings")
_LONGEST_USER_AGENT = 512
# A client that does not take its answer keeps no session by that.
_ANSWER_SECONDS = 0.5

_VERDICT = """
    INSERT INTO password_attempts
        (id, flow_id, identity_id, reasons, salt, digest, client_address, user_agent)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING
"""
# The completed hook gives the effect that ends sessions the id of the attempt.
_CHANGED = "SELECT 1 FROM outbox WHERE id = %s"


class PasswordGuard:
    """Judges, and ends the caller's session once a changed password was answered."""

    def __init__(
        self,
        settings: Settings,
        forwarder: Forwarder,
        database: Database,
        judge: PasswordJudge,
        histories: PasswordHistories,
    ) -> None:
        self._forwarder = forwarder
        self._database = database
        self._callers = Callers(forwarder)
        self._public_url = str(settings.public_url)
        self._judge = judge
        self._histories = histories
        self._ending: set[asyncio.Task[None]] = set()

    async def before(self, submit: Submit) -> Refusal | None:
        password = submit.fields.get("password")
        if submit.flow not in _FLOWS or submit.fields.get("method") != "password":
            return None
        if not isinstance(password, str) or not password or submit.flow_id is None:
            # Kratos refuses these by itself, and so would the hook.
            return None
        _refuse_broken_text(password)
        if submit.flow == "registration":
            verdict = await self._of_registration(submit, password)
            await self._send_on(submit, submit.flow_id, None, verdict)
            return None
        caller = await self._callers.of(submit)
        if caller is None:
            return None
        if reauthentication.is_too_old(caller.authenticated_at, datetime.now(UTC)):
            return reauthentication.asked_for(submit, self._public_url)
        verdict = await self._of_settings(caller, password)
        await self._send_on(submit, submit.flow_id, caller.identity_id, verdict)
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        attempt, caller = submit.password_attempt, submit.caller
        if answer is None or attempt is None or not attempt.is_accepted or caller is None:
            return
        if caller.session_id is not None:
            task = asyncio.create_task(self._end_session(submit, attempt.id, caller.session_id))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def finish(self) -> None:
        """Let sessions that are being ended end."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=2)

    async def _of_registration(self, submit: Submit, password: str) -> Verdict:
        owner = owner_of(_traits_in(submit.fields), has_second_factor=False)
        return await self._judge.judge(password, owner, _nobody)

    async def _of_settings(self, caller: Caller, password: str) -> Verdict:
        owner: PasswordOwner = owner_of(caller.traits, has_second_factor=caller.aal == "aal2")
        return await self._judge.judge(
            password, owner, lambda: self._histories.of(caller.identity_id)
        )

    async def _send_on(
        self, submit: Submit, flow_id: UUID, identity_id: UUID | None, verdict: Verdict
    ) -> None:
        """Store a verdict and see to it that it is found."""
        attempt_id = password_attempts.new_id()
        reasons = [{"code": reason.code, "text": reason.text} for reason in verdict.reasons]
        user_agent = (submit.request.header(b"user-agent") or "")[:_LONGEST_USER_AGENT]
        values = (
            attempt_id,
            flow_id,
            identity_id,
            json.dumps(reasons),
            verdict.salt,
            verdict.digest,
            submit.request.client_address,
            user_agent.replace("\0", ""),
        )
        await self._database.execute(_VERDICT, values)
        other = (
            password_attempts.with_another_password(submit.fields, is_json=submit.is_json)
            if reasons
            else None
        )
        submit.password_attempt = PasswordAttempt(attempt_id, other)

    async def _end_session(self, submit: Submit, attempt_id: UUID, session_id: UUID) -> None:
        """End the session a password was changed with. What fails here, the outbox does."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await submit.request.answered.wait()
        except TimeoutError:
            log.info("answer_not_taken")
        try:
            if await self._database.row(_CHANGED, (attempt_id,)) is None:
                return
            path = f"/admin/sessions/{session_id}"
            await self._forwarder.fetch(
                Upstream.KRATOS_ADMIN, path, "", submit.request, method="DELETE", body=b""
            )
        except RefusedError as error:
            log.warning("session_left_to_the_outbox", error=error.refusal.code)


async def _nobody() -> None:
    return None


def _refuse_broken_text(password: str) -> None:
    """Refuse half of a surrogate pair: Kratos would store another character in its place.

    Raises:
        RefusedError: there is one.
    """
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(MALFORMED_BODY) from error


def _traits_in(fields: Any) -> dict[str, Any]:
    """Return the traits of a submit, JSON (`traits: {…}`) or form (`traits.email`)."""
    given = fields.get("traits")
    traits = dict(given) if isinstance(given, dict) else {}
    for name, value in fields.items():
        if name.startswith("traits."):
            traits.setdefault(name.removeprefix("traits."), value)
    return traits
