"""The passwords that members had, as the edge asks for them."""

import secrets
from uuid import UUID

from integration.edge.database import Database
from integration.edge.passwords.digests import SALT_BYTES
from policies.passwords import PasswordHistory

# Whoever comes first gives the member its salt; a second one at the same time gets the same.
_FIND = """
    INSERT INTO password_histories (identity_id, salt, digests)
    SELECT identity_id, %s, '{}' FROM members WHERE identity_id = %s AND status <> 'deleted'
    ON CONFLICT (identity_id) DO UPDATE SET salt = password_histories.salt
    RETURNING salt, digests
"""
_IS_KNOWN = "SELECT 1 FROM password_histories WHERE identity_id = %s AND cardinality(digests) > 0"
_BEGIN = """
    UPDATE password_histories SET digests = ARRAY[%s::bytea]
    WHERE identity_id = %s AND salt = %s AND cardinality(digests) = 0
"""


class PasswordHistories:
    """Every call raises `RefusedError` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, identity_id: UUID) -> PasswordHistory | None:
        """Return the history of a member, begun if there was none; None: no such member."""
        values = (secrets.token_bytes(SALT_BYTES), identity_id)
        row = await self._database.row(_FIND, values)
        return None if row is None else PasswordHistory(row[0], tuple(row[1]))

    async def is_empty(self, identity_id: UUID) -> bool:
        return await self._database.row(_IS_KNOWN, (identity_id,)) is None

    async def begin(self, identity_id: UUID, salt: bytes, digest: bytes) -> None:
        """Store the first entry, unless there is one meanwhile."""
        await self._database.execute(_BEGIN, (digest, identity_id, salt))
