"""There is always an active admin: asked before Kratos disables or deletes one.

The lock is that of `integration.db.locks.hold_admins`: whoever makes and unmakes admins in the
service waits until our tables have followed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from integration.edge.database import Database
from integration.edge.identity_lock import IdentityLocks
from integration.edge.problems import BUSY, Refusal, RefusedError
from policies.authority import Role
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.roles import decide_leaving

_STANDING = """
    SELECT role, status, (
        SELECT count(*) FROM members
        WHERE role = 'admin' AND status = 'active' AND identity_id <> %(whose)s
    ) FROM members WHERE identity_id = %(whose)s
"""


class LastAdmin:
    """Holds identities that are to be shut out."""

    def __init__(self, database: Database, locks: IdentityLocks) -> None:
        self._database = database
        self._locks = locks

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
            yield

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
