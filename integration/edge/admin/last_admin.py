"""There is always an active admin: asked before Kratos disables or deletes one.

The lock is that of `integration.db.locks.hold_admins`: whoever makes and unmakes admins in the
service waits until our tables have followed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from integration.db.other_admins import COUNT
from integration.edge.database import Database
from integration.edge.identity_lock import IdentityLocks
from integration.edge.problems import BUSY, Refusal, RefusedError
from policies.authority import Role
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.roles import decide_leaving

log = structlog.get_logger()

_STANDING = f"SELECT role, status, ({COUNT}) FROM members WHERE identity_id = %(whose)s"  # noqa: S608 - constants
# Written before Kratos is asked, so that it outlives this process. Until the worker has compared
# the two, nobody counts on this admin (`integration.db.other_admins`).
_DOUBT = """
    INSERT INTO outbox (id, identity_id, lane, kind, payload, created_at, due_at)
    VALUES (%s, %s, 'reconcile', 'reconcile', '{}', now(), now() + %s::interval)
    ON CONFLICT (id) DO NOTHING
"""
# Our row followed: there is nothing to compare. Else soon: Kratos has answered, or was not asked.
_FOLLOWED = """
    DELETE FROM outbox USING members WHERE outbox.id = %s
    AND members.identity_id = outbox.identity_id AND members.status <> 'active'
"""
_COMPARE = "UPDATE outbox SET due_at = now() WHERE id = %s AND attempts = 0"
# Beside the forwarded request itself, as long as Kratos may go on with what nobody waits for.
_MARGIN = timedelta(seconds=10)


class LastAdmin:
    """Holds identities that are to be shut out."""

    def __init__(self, database: Database, locks: IdentityLocks, *, longest: timedelta) -> None:
        """Args:
        longest: How long Kratos is waited for.
        """
        self._database = database
        self._locks = locks
        self._delay = longest + _MARGIN

    @asynccontextmanager
    async def spared(self, identity_id: UUID) -> AsyncIterator[None]:
        """Hold the lock of an identity that is about to be disabled or deleted.

        Raises:
            RefusedError: nobody else would be admin (409 `last_admin`); or as `IdentityLocks.held`.
        """
        before = await self._standing(identity_id)
        alone = before is not None and before[0] == Role.ADMIN
        async with self._locks.held_for_leaving(identity_id, is_admin=alone):
            now = await self._standing(identity_id)
            if now is not None and now[0] == Role.ADMIN:
                if not alone:
                    # It became one meanwhile, and others may be shutting admins out beside us.
                    raise RefusedError(BUSY)
                _refuse_last(*now)
                async with self._in_doubt(identity_id):
                    yield
            else:
                yield

    @asynccontextmanager
    async def _in_doubt(self, identity_id: UUID) -> AsyncIterator[None]:
        """Have the admin compared with Kratos, also when this process ends before our row follows.

        Raises:
            RefusedError: the database does not answer; Kratos was not asked.
        """
        effect_id = uuid4()
        await self._database.execute(_DOUBT, (effect_id, identity_id, self._delay))
        try:
            yield
        finally:
            try:
                await self._database.execute(_FOLLOWED, (effect_id,))
                await self._database.execute(_COMPARE, (effect_id,))
            except RefusedError:
                log.warning("admin_left_in_doubt")

    async def _standing(self, identity_id: UUID) -> tuple[str, str, int] | None:
        """Return role, status, and how many active admins there are besides."""
        row = await self._database.row(_STANDING, {"whose": identity_id})
        return None if row is None else (row[0], row[1], row[2])


def _refuse_last(role: str, status: str, others: int) -> None:
    decision = decide_leaving(
        Role(role), Status(status), Status.SUSPENDED, is_last_admin=others == 0
    )
    if isinstance(decision, Deny):
        [reason] = decision.reasons
        raise RefusedError(Refusal(409, reason.code, reason.text))
