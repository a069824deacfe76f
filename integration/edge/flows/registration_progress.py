"""Where a registration failed: only the edge sees every answer, Kratos' own refusals too."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID

import structlog

from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.outcomes import FlowMessage, error_messages, flow_shown_by
from integration.edge.problems import Refusal, RefusedError
from integration.edge.upstream_errors import error_of
from policies.progress import failed_registration_step, registration_refused

log = structlog.get_logger()

# The person waits for this.
_LONGEST_SECONDS = 0.25

# A registration that succeeded meanwhile (it has an identity) is left as it is.
_STATEMENT = """
    INSERT INTO flows (flow_id, kind, state, steps, error)
    VALUES (%s, 'registration', 'failed', %s, %s)
    ON CONFLICT (flow_id) DO UPDATE
    SET state = excluded.state, steps = excluded.steps, error = excluded.error, updated_at = now()
    WHERE flows.identity_id IS NULL
"""


class RegistrationProgress:
    """Records the step at which a registration was refused. Never stops one."""

    def __init__(self, database: Database, reader: OutcomeReader) -> None:
        self._database = database
        self._reader = reader

    async def before(self, submit: Submit) -> Refusal | None:
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        if answer is None or submit.flow != "registration" or submit.flow_id is None:
            return
        await self._reader.of(submit, answer)
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await self._record(submit, submit.flow_id, answer)
        except (TimeoutError, RefusedError) as error:
            log.warning("registration_progress_lost", error=type(error).__name__)

    async def _record(self, submit: Submit, flow_id: UUID, answer: Answer) -> None:
        body = answer.body
        if flow_shown_by(answer) == flow_id:
            # A form client is sent back to the page; the messages are on the flow.
            body = submit.shown_flow or b""
        messages = error_messages(body)
        if messages:
            await record_refusal(self._database, flow_id, *_step_and_code(messages))
        elif answer.status >= 400 and messages is None and _is_internal(body):
            await record_refusal(self._database, flow_id, "user_creation", "internal")


def _is_internal(body: bytes) -> bool:
    code = (error_of(body) or {}).get("code")
    return not isinstance(code, int) or code >= 500


def _step_and_code(messages: tuple[FlowMessage, ...]) -> tuple[str, str]:
    step = failed_registration_step((message.id, message.node) for message in messages)
    ours = next((message.code for message in messages if message.code), None)
    return step, ours or f"kratos_{messages[0].id}"


async def record_refusal(database: Database, flow_id: UUID, step: str, code: str) -> None:
    """Store that a registration failed at `step`, with the reason's code.

    Raises:
        RefusedError: the database does not answer.
    """
    steps = [
        {
            "name": item.name,
            "state": str(item.state),
            "at": item.at.isoformat() if item.at else None,
        }
        for item in registration_refused(step, datetime.now(UTC))
    ]
    error = {"step": step, "code": code}
    await database.execute(_STATEMENT, (flow_id, json.dumps(steps), json.dumps(error)))
