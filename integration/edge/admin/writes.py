"""Changes past our own code: an admin's SDK writes to Kratos, and our tables must follow.

Kratos calls no hook for them. One writer at a time to an identity; each call is written down;
the member follows before the admin is answered. Where it cannot, its reconciliation is asked
for; what is lost even then the periodic reconciler finds.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from uuid import UUID, uuid4

import structlog

from integration.edge.admin import batches as admin_batches
from integration.edge.admin.audit import AdminAudit
from integration.edge.admin.last_admin import LastAdmin
from integration.edge.admin.member_follows import MemberFollows
from integration.edge.admin.passwords import AdminPasswords, NewPassword
from integration.edge.admin.plans import IDENTITIES, Plan, object_in, plan, uuid_of
from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.forwarding import Forwarder
from integration.edge.identity_lock import IdentityLocks
from integration.edge.problems import UPSTREAM_BROKEN, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.settings import Settings

log = structlog.get_logger()

_MEMBER = "SELECT status, role FROM members WHERE identity_id = %s"
# Kind and lane as in `integration.effects`; the relay hands the row to the worker.
_RECONCILE = """
    INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
    SELECT identity_id, 'reconcile', 'reconcile', '{}', now(), now()
    FROM unnest(%s::uuid[]) AS identity_id
"""


class AdminWrites:
    """Carries admin writes out."""

    def __init__(
        self,
        forwarder: Forwarder,
        database: Database,
        locks: IdentityLocks,
        settings: Settings,
    ) -> None:
        self._forwarder = forwarder
        self._database = database
        self._locks = locks
        self._last_admin = LastAdmin(database, locks, longest=settings.forward_timeout)
        self._audit = AdminAudit(database)
        self._members = MemberFollows(forwarder, settings)
        self._passwords = AdminPasswords(settings, database)

    async def carried_out(
        self, request: Request, body: bytes, ask: Callable[[bytes], Awaitable[Answer]]
    ) -> Answer:
        """Return Kratos' answer to a write, our tables being true to it.

        Args:
            ask: Passes the request on with another body.

        Raises:
            RefusedError: Kratos was not asked.
        """
        wanted = plan(request.method, request.path, body)
        passwords = await self._passwords.accepted(wanted.passwords, wanted.identity_id)
        async with self._held(wanted):
            before = await self._before(request, wanted)
            rewritten = wanted.rewritten(await self._ours(wanted))
            if wanted.state == "active" and wanted.identity_id is not None and before is not None:
                await self._make_way(request, wanted.identity_id, before)
            call_id = uuid4()
            await self._audit.begin(
                call_id,
                request,
                template=wanted.template,
                identity_id=wanted.identity_id,
                credentials=wanted.credentials,
                before=before,
            )
            answer = await ask(body if rewritten is None else rewritten)
            batch = None
            if wanted.is_batch and answer.status < 300:
                batch = await admin_batches.made(self._forwarder, request, answer)
                answer = batch.answer
            after = await self._followed(request, wanted, answer, passwords, batch)
            await self._audit.end(
                call_id, status=answer.status, identities=after, is_batch=wanted.is_batch
            )
        return answer

    def _held(self, wanted: Plan) -> AbstractAsyncContextManager[None]:
        """Be the one writer to the identity, if the write is to one."""
        if wanted.identity_id is None:
            return nullcontext()
        if wanted.shuts_out:
            return self._last_admin.spared(wanted.identity_id)
        return self._locks.held(wanted.identity_id)

    async def _before(self, request: Request, wanted: Plan) -> Mapping[str, Any] | None:
        """Return the identity as it is; None when the call names none, or there is none."""
        if wanted.identity_id is None or not wanted.path.startswith(IDENTITIES):
            return None
        path = f"{IDENTITIES}/{wanted.identity_id}"
        answer = await self._forwarder.fetch(Upstream.KRATOS_ADMIN, path, "", request, body=b"")
        if answer.status == 404:
            return None
        document = object_in(answer.body)
        if answer.status != 200 or document is None:
            raise RefusedError(UPSTREAM_BROKEN)
        return document

    async def _ours(self, wanted: Plan) -> Mapping[str, str]:
        """Return what `metadata_public` has to say of a member: our row decides."""
        if wanted.identity_id is None or wanted.document is None:
            return {}
        row = await self._database.row(_MEMBER, (wanted.identity_id,))
        return {} if row is None else {"status": row[0], "role": row[1]}

    async def _make_way(
        self, request: Request, identity_id: UUID, before: Mapping[str, Any]
    ) -> None:
        """Ask whether the identity may be enabled, and end what Kratos would revive."""
        await self._members.ask_to_enable(request, identity_id)
        if before.get("state") == "active":
            return
        # 404: it has no session.
        await self._forwarder.fetch(
            Upstream.KRATOS_ADMIN,
            f"{IDENTITIES}/{identity_id}/sessions",
            "",
            request,
            method="DELETE",
            body=b"",
        )

    async def _followed(
        self,
        request: Request,
        wanted: Plan,
        answer: Answer,
        passwords: Mapping[int, NewPassword],
        batch: admin_batches.Made | None,
    ) -> Sequence[Mapping[str, Any]]:
        """Let the members follow what Kratos stored; return the identities as they are now."""
        if answer.status >= 300:
            return ()
        after: dict[UUID, Mapping[str, Any] | None] = {}
        places: Mapping[int, UUID] = {}
        if batch is not None:
            places, after = batch.places, dict(batch.shown)
            await self._reconcile(batch.unknown)
        elif wanted.path == IDENTITIES or wanted.is_of_identity:
            after = self._of_one(wanted, answer)
            places = dict(enumerate(after))
        elif wanted.identity_id is not None and "/credentials/" in wanted.path:
            # A second factor may be gone.
            after = {wanted.identity_id: await self._before(request, wanted)}
        if after:
            of_whom = {places[at]: kept for at, kept in passwords.items() if at in places}
            left = await self._members.told(request, after, wanted.state, of_whom)
            await self._reconcile(left)
        return [one for one in after.values() if one is not None]

    def _of_one(self, wanted: Plan, answer: Answer) -> dict[UUID, Mapping[str, Any] | None]:
        if wanted.method == "DELETE" and wanted.identity_id is not None:
            return {wanted.identity_id: None}
        document = object_in(answer.body) or {}
        identity_id = uuid_of(document.get("id"))
        return {} if identity_id is None else {identity_id: document}

    async def _reconcile(self, identity_ids: Iterable[UUID]) -> None:
        """Ask for these to be reconciled. Never raises: Kratos has changed already."""
        asked = sorted(set(identity_ids))
        if not asked:
            return
        try:
            await self._database.execute(_RECONCILE, (asked,))
        except RefusedError:
            log.exception("admin_write_not_recorded", identities=len(asked))
