"""Role tuples through Ory's path: the service changes the member, and Keto is told by it.

The decisions are in `policies.role_writes`, the change in `hooks/relation_tuples.py`, on the
service's private port; here is the call, and the wait until Keto has it.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from uuid import UUID, uuid4

import structlog

from integration.edge.api_keys import key_id_of
from integration.edge.asgi import Answer
from integration.edge.forwarding import Forwarder
from integration.edge.problems import BUSY, UPSTREAM_TEMPORARY, Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.edge.tuples.audit import TupleAudit, shown, with_epochs
from integration.edge.tuples.tuple_requests import refusal_of
from integration.settings import Settings
from policies.decisions import Deny
from policies.role_writes import RoleWrite
from policies.tuple_writes import TupleWrites, decide_authority

log = structlog.get_logger()

_PATH = "/hooks/relation-tuples/roles"
# Until then the member is settling: what it lost is denied, but a check may not see what it got.
_LONGEST_WAIT = 2.0
_LOOK_SECONDS = 0.025

MEMBER_UNKNOWN = Refusal(404, "member_unknown", "There is no such member.")


class RoleWrites:
    """Carries role tuples out."""

    def __init__(self, forwarder: Forwarder, audit: TupleAudit, settings: Settings) -> None:
        self._forwarder = forwarder
        self._audit = audit
        self._secret = [(b"x-kleis-hook-secret", settings.hook_secret.get_secret_value().encode())]

    async def carried_out(self, request: Request, writes: TupleWrites, done: Answer) -> Answer:
        """Change members' roles, all or none, and return `done`.

        Raises:
            RefusedError: nothing was changed, or nobody can say.
        """
        roles = decide_authority(writes)
        if isinstance(roles, Deny):
            raise RefusedError(refusal_of(roles))
        subjects = _members(roles)
        call_id = uuid4()
        tuples = shown(insert=writes.insert, delete=writes.delete)
        await self._audit.begin(call_id, request, action="roles", tuples=tuples, subjects=())
        status: int | None = None
        try:
            answer = await self._told(request, roles)
            status = answer.status
        finally:
            await self._audit.end(call_id, status=status, subjects=())
        if status != 204:
            raise RefusedError(_refusal(answer))
        await self._until_settled(subjects)
        return with_epochs(done, await self._audit.epochs(subjects))

    async def _told(self, request: Request, roles: Mapping[str, RoleWrite]) -> Answer:
        changes = [
            {"identity_id": subject, "assign": wanted.assign, "take": sorted(wanted.take)}
            for subject, wanted in roles.items()
        ]
        document = {"api_key_id": key_id_of(request.headers), "changes": changes}
        return await self._forwarder.fetch(
            Upstream.HOOKS,
            _PATH,
            "",
            request,
            method="POST",
            body=json.dumps(document).encode(),
            extra=self._secret,
        )

    async def _until_settled(self, subjects: Iterable[UUID]) -> None:
        """Wait until Keto has been told, not for ever: it is true already, and will be told."""
        deadline = time.monotonic() + _LONGEST_WAIT
        while not await self._audit.are_settled(subjects):
            if time.monotonic() > deadline:
                log.warning("roles_unsettled")
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _members(roles: Mapping[str, RoleWrite]) -> tuple[UUID, ...]:
    try:
        return tuple(UUID(subject) for subject in roles)
    except ValueError as error:
        # Only a delete can name such a subject; `kleis doctor` removes what was written past us.
        raise RefusedError(MEMBER_UNKNOWN) from error


def _refusal(answer: Answer) -> Refusal:
    if answer.status == 404:
        return MEMBER_UNKNOWN
    if answer.status == 409:
        try:
            sentence = str(json.loads(answer.body)["title"])
        except (ValueError, KeyError, TypeError):
            sentence = "The member's state does not allow this."
        return Refusal(409, "role_refused", sentence)
    return BUSY if answer.status == 503 else UPSTREAM_TEMPORARY
