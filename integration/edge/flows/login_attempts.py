"""Every attempt to log in, good or bad, as one record; never in the way of the answer."""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from uuid import uuid4

from integration.edge.asgi import Answer
from integration.edge.flows.attempt_log import AttemptLog
from integration.edge.flows.attempts import Attempt
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.problems import Refusal
from integration.keys import derive
from integration.settings import Settings

_MAX_USER_AGENT = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

# Kratos knows no such flow: a row for it could only be somebody's invention.
_NO_FLOW = frozenset({"flow_unknown", "self_service_flow_expired"})
# The person has to do something before this flow goes on.
_WAITS = frozenset({"sent_email", "browser_location_change_required"})


class LoginAttempts:
    """Hands each login submit's outcome to the log. Asked before the guards that refuse, so that
    it is told what they refused."""

    def __init__(self, settings: Settings, reader: OutcomeReader, log: AttemptLog) -> None:
        self._key = derive(settings.secret.get_secret_value(), "login attempt identifiers")
        self._reader = reader
        self._log = log

    async def before(self, submit: Submit) -> Refusal | None:
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        if not (submit.flow == "login" or submit.is_callback or submit.is_token_exchange):
            return
        outcome = await self._reader.of(submit, answer)
        is_record = outcome.outcome is not Outcome.NEXT_STEP
        if submit.is_token_exchange:
            # Until it succeeds it is only asked whether the person is back from the provider.
            is_record = outcome.outcome is Outcome.SUCCESS
        if outcome.flow == "login" and (is_record or outcome.code in _WAITS):
            self._log.add(self._attempt(submit, outcome, is_record=is_record))
        elif submit.is_callback and submit.flow_id is not None and outcome.flow != "settings":
            # No attempt to log in, but what became of one.
            self._log.add(self._attempt(submit, outcome, is_record=False))

    def _attempt(self, submit: Submit, outcome: SubmitOutcome, *, is_record: bool) -> Attempt:
        identifier = submit.identifier
        return Attempt(
            id=uuid4(),
            at=datetime.now(UTC),
            identifier=identifier,
            identifier_hash=None if identifier is None else self._hash(identifier),
            identity_id=outcome.identity_id,
            address=submit.request.client_address,
            user_agent=bounded(submit.request.header(b"user-agent") or ""),
            device_id=submit.device_id,
            method=outcome.method,
            outcome=outcome.outcome,
            code=outcome.code,
            flow_id=None if outcome.code in _NO_FLOW else submit.flow_id,
            counts=outcome.is_login,
            is_record=is_record,
            flow=outcome.flow,
        )

    def _hash(self, identifier: str) -> bytes:
        named = identifier.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, named, hashlib.sha256)


def bounded(user_agent: str) -> str:
    """Return what is kept of a `User-Agent`: 256 characters, none of them a control character."""
    return _CONTROL.sub(" ", user_agent)[:_MAX_USER_AGENT]
